"""Certificates: CAs of our own and what they issue. Keys are ECDSA P-256; everything is PEM in files.

Private keys are written 0600, their directories 0700, always by rename.
"""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from minikube.kit.files import write_private

CA_DAYS = 3650
LEAF_LIFETIME = timedelta(days=365)
RENEW_AFTER = 0.75
"""The part of a certificate's time after which it is issued again."""


def validity(lifetime: timedelta) -> tuple[datetime, datetime]:
    """From when to when; backdated so that a machine whose clock is a little behind accepts a new certificate."""
    now = datetime.now(UTC)
    return now - min(timedelta(hours=1), lifetime / 20), now + lifetime


class Pair(msgspec.Struct, frozen=True):
    """Files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> bytes:
        return self.certificate.read_bytes()


def common_name(subject: x509.Name) -> str:
    """Of several the last, as Go (and so whoever else reads our certificates) takes it: he who approves a request,
    he who signs it and he who is shown the certificate must see the same one."""
    found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""


def subject_of(name: str, groups: Iterable[str] = ()) -> x509.Name:
    """O=groups, CN=name. Longer ones, too, than the 64 characters of X.520, which nobody checks: the user name of a
    node may have 265."""
    told = [(NameOID.ORGANIZATION_NAME, group) for group in groups] + [(NameOID.COMMON_NAME, name)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return x509.Name([x509.NameAttribute(oid, text, _validate=False) for oid, text in told])


def ensure_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        write_private(path, _key_pem(ec.generate_private_key(ec.SECP256R1())))
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return loaded


def ensure_ca(directory: Path, name: str) -> Pair:
    """The CA `name` in this directory, made if missing. Its certificate file is a bundle: who signs now comes
    first, who is only trusted still after that."""
    pair = Pair(directory / f"{name}.crt", directory / f"{name}.key")
    if not pair.certificate.exists() or not pair.key.exists():
        certificate = self_signed(ensure_key(pair.key), f"minikube-{name}")
        write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return pair


def self_signed(key: ec.EllipticCurvePrivateKey, name: str) -> x509.Certificate:
    """A CA."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start, end = validity(timedelta(days=CA_DAYS))
    return ca_builder(subject, subject, key.public_key(), start, end).sign(key, hashes.SHA256())


def ca_builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def ensure_leaf(
    pair: Pair,
    ca: Pair,
    *,
    common_name: str,
    groups: Sequence[str] = (),
    names: Sequence[str] = (),
    server: bool = False,
    client: bool = False,
    lifetime: timedelta = LEAF_LIFETIME,
    chain: bytes = b"",
) -> Pair:
    """A certificate for this subject, issued again when it is `due`. `chain` (PEM) follows it in the file."""
    if not due(pair, ca.pem, names, datetime.now(UTC)) and followed_by(pair, chain):
        return pair
    key = ensure_key(pair.key)
    pem = issue(
        ca,
        key.public_key(),
        common_name=common_name,
        groups=groups,
        names=names,
        server=server,
        client=client,
        lifetime=lifetime,
    )
    write_private(pair.certificate, pem + chain, 0o644)
    return pair


def issue(
    ca: Pair,
    public_key: ec.EllipticCurvePublicKey,
    *,
    common_name: str,
    groups: Sequence[str] = (),
    names: Sequence[str] = (),
    server: bool = False,
    client: bool = False,
    lifetime: timedelta = LEAF_LIFETIME,
) -> bytes:
    """A PEM certificate: O=groups, CN=common_name, `names` are DNS names or addresses."""
    issuer = x509.load_pem_x509_certificate(ca.pem)
    issuer_key = ensure_key(ca.key)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] if server else []
    if client:
        usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    start, end = validity(lifetime)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_of(common_name, groups))
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(min(end, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(alternatives(names))), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def alternatives(names: Iterable[str]) -> Iterable[x509.GeneralName]:
    for name in names:
        try:
            yield x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            yield x509.DNSName(name)


def load(pair: Pair) -> x509.Certificate | None:
    """None: it or its key is missing, or nobody can read it."""
    if not pair.key.exists():
        return None
    try:
        return x509.load_pem_x509_certificate(pair.pem)
    except (FileNotFoundError, ValueError):
        return None


def renewal(certificate: x509.Certificate) -> datetime:
    """When it is to be issued again."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return start + (end - start) * RENEW_AFTER


def until_renewal(pairs: Iterable[Pair], now: datetime) -> float:
    """Seconds until the first of them (those that are there) is to be issued again, at least one."""
    left = [(renewal(found) - now).total_seconds() for found in map(load, pairs) if found is not None]
    return max(1.0, min(left, default=1.0))


def names_of(certificate: x509.Certificate | None) -> frozenset[str]:
    """Its subject alternative names."""
    if certificate is None:
        return frozenset()
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(str(name.value) for name in found)


def has_names(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    """Whether its subject alternative names are these, no more and no less."""
    return names_of(certificate) == {str(name.value) for name in alternatives(names)}


def due(pair: Pair, ca: bytes, names: Sequence[str], now: datetime) -> bool:
    """Whether it is to be issued anew: missing, near its end, from the future, of another CA than the first in the
    bundle `ca`, or for other names."""
    certificate = load(pair)
    return (
        certificate is None
        or not certificate.not_valid_before_utc <= now < renewal(certificate)
        or not issued_by(certificate, ca)
        or not has_names(certificate, names)
    )


def followed_by(pair: Pair, chain: bytes) -> bool:
    """Whether exactly these certificates (PEM) follow the pair's own in its file."""
    wanted = x509.load_pem_x509_certificates(chain) if chain else []
    return x509.load_pem_x509_certificates(pair.pem)[1:] == wanted


def issued_by(certificate: x509.Certificate, ca: bytes) -> bool:
    """Whether the first CA in the bundle signed it."""
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def traditional(pem: bytes) -> bytes:
    """A private key in the form whose first line names its algorithm: fabric8 and others go by that line."""
    key = serialization.load_pem_private_key(pem, None)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
