"""PKCS#10 requests: made by nodes, read by approvers, turned into certificates by signers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from minikube.pki.certificates import Pair, alternatives, common_name, ensure_key, subject_of, validity

EXTENDED: dict[str, ObjectIdentifier] = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": ObjectIdentifier("2.16.840.1.113730.4.1"),
}
"""certificates.k8s.io usages that are extended key usages; the others are bits of the key usage."""
PLAIN = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}


class Requested(msgspec.Struct, frozen=True):
    """What a request asks for."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    key: str = ""
    """SHA-256 of the public key, in hex."""


def make_request(
    key: ec.EllipticCurvePrivateKey, *, common_name: str, groups: Sequence[str] = (), names: Sequence[str] = ()
) -> bytes:
    """PEM; `names` are DNS names or addresses."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(common_name, groups))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(alternatives(names))), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def read_request(pem: bytes) -> Requested:
    """Raises ValueError: no request, not signed with its own key, or with what nobody here understands."""
    try:
        return _read(x509.load_pem_x509_csr(pem))
    except (x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error


def _read(request: x509.CertificateSigningRequest) -> Requested:
    if not request.is_signature_valid:
        raise ValueError("the request is not signed with its own key")
    names = _alternative_names(request)
    return Requested(
        common_name=common_name(request.subject),
        organizations=_texts(request.subject, NameOID.ORGANIZATION_NAME),
        dns_names=tuple(names.get_values_for_type(x509.DNSName)),
        addresses=tuple(str(each) for each in names.get_values_for_type(x509.IPAddress)),
        emails=tuple(names.get_values_for_type(x509.RFC822Name)),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        key=key_fingerprint(request),
    )


def key_fingerprint(holder: x509.CertificateSigningRequest | x509.Certificate) -> str:
    """SHA-256 of the public key, in hex."""
    spki = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def sign_request(ca: Pair, pem: bytes, usages: Sequence[str], lifetime: timedelta) -> bytes:
    """A PEM certificate with the request's subject and names, for `usages` alone; it never outlives the CA."""
    request = x509.load_pem_x509_csr(pem)
    issuer = x509.load_pem_x509_certificate(ca.pem)
    issuer_key = ensure_key(ca.key)
    start, end = validity(lifetime)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(request))
        .issuer_name(issuer.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(min(end, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if any(usage in PLAIN for usage in usages):
        builder = builder.add_extension(_key_usage(usages), critical=True)
    if extended := list(dict.fromkeys(EXTENDED[usage] for usage in usages if usage in EXTENDED)):
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    names = _alternative_names(request)
    if len(list(names)):
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _subject(request: x509.CertificateSigningRequest) -> x509.Name:
    """With one common name at most: nobody must be able to read another one out of the certificate than we do."""
    attributes = [each for each in request.subject if each.oid != NameOID.COMMON_NAME]
    return x509.Name([*attributes, *request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[-1:]])


def _alternative_names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _texts(name: x509.Name, field: ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(each.value) for each in name.get_attributes_for_oid(field))


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage:
    bits = {PLAIN[usage] for usage in usages if usage in PLAIN}
    agreement = "key_agreement" in bits
    return x509.KeyUsage(
        digital_signature="digital_signature" in bits,
        content_commitment="content_commitment" in bits,
        key_encipherment="key_encipherment" in bits,
        data_encipherment="data_encipherment" in bits,
        key_agreement=agreement,
        key_cert_sign="key_cert_sign" in bits,
        crl_sign="crl_sign" in bits,
        encipher_only=agreement and "encipher_only" in bits,
        decipher_only=agreement and "decipher_only" in bits,
    )
