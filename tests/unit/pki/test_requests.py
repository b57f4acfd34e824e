"""What is read out of a request is what its certificate says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from minikube.pki.certificates import ensure_ca
from minikube.pki.requests import read_request, sign_request

KEY = ec.generate_private_key(ec.SECP256R1())
NODE, MANAGER = "system:node:a", "system:kube-controller-manager"


def request(*names: str) -> x509.CertificateSigningRequestBuilder:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes")]
    subject += [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))


@pytest.mark.parametrize("names", [(MANAGER, NODE), (NODE, MANAGER)])
def test_the_name_that_is_approved_is_the_only_one_that_is_signed(tmp_path: Path, names: tuple[str, str]) -> None:
    ca = ensure_ca(tmp_path, "ca")
    pem = request(*names).sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)
    issued = x509.load_pem_x509_certificate(sign_request(ca, pem, ["client auth"], timedelta(hours=1)))
    said = [each.value for each in issued.subject]
    assert said == ["system:nodes", read_request(pem).common_name] == ["system:nodes", names[-1]]


def test_an_extension_twice_is_no_request() -> None:
    builder = request(NODE)
    for number in ("2.5.29.100", "2.5.29.101"):
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(number), b"\x05\x00")
        builder = builder.add_extension(extension, critical=False)
    content = builder.sign(KEY, hashes.SHA256()).tbs_certrequest_bytes.replace(b"\x55\x1d\x65", b"\x55\x1d\x64")
    ecdsa_with_sha256 = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
    signature = b"\x00" + KEY.sign(content, ec.ECDSA(hashes.SHA256()))
    der = content + ecdsa_with_sha256 + b"\x03" + bytes([len(signature)]) + signature
    whole = x509.load_der_x509_csr(b"\x30\x82" + len(der).to_bytes(2, "big") + der)
    with pytest.raises(ValueError, match="Duplicate"):
        read_request(whole.public_bytes(Encoding.PEM))
