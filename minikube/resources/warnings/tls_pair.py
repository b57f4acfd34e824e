"""A certificate and a key that do not belong together, in the words of Go's tls.X509KeyPair."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

_BLOCK = re.compile(
    rb"-----BEGIN ([^\n-]*(?:-[^\n-]+)*)-----\s*?\n(?:[^\n:]+:[^\n]*\n)*(.*?)-----END \1-----", re.DOTALL
)
CERTIFICATE = "CERTIFICATE"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pair_problem(certificate: bytes, key: bytes) -> str:
    """What is wrong with the pair; empty if nothing is."""
    found, skipped = _find(certificate, key=False)
    if found is None:
        return _no_certificate(skipped)
    private, skipped = _find(key, key=True)
    if private is None:
        return _no_key(skipped)
    try:
        public = x509.load_der_x509_certificate(found).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "x509: malformed certificate"
    if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return "tls: unknown public key algorithm"
    try:
        loaded = load_der_private_key(private, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    if not isinstance(loaded, Key):
        return "tls: found unknown private key type in PKCS#8 wrapping"
    own = loaded.public_key()
    if own == public:
        return ""
    same = any(isinstance(own, kind) and isinstance(public, kind) for kind in _KINDS)
    return (
        "tls: private key does not match public key"
        if same
        else "tls: private key type does not match public key type"
    )


_KINDS = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)


def _find(text: bytes, *, key: bool) -> tuple[bytes | None, list[str]]:
    """The first block of the kind, and the kinds of those before it."""
    skipped: list[str] = []
    for match in _BLOCK.finditer(text):
        kind = match[1].decode(errors="replace")
        if kind.endswith("PRIVATE KEY") if key else kind == CERTIFICATE:
            try:
                return base64.b64decode(b"".join(match[2].split()), validate=True), skipped
            except binascii.Error:
                continue
        skipped.append(kind)
    return None, skipped


def _no_certificate(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in certificate input"
    if len(skipped) == 1 and skipped[0].endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs "
            "may have been switched"
        )
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the '
        f"following types: [{' '.join(skipped)}]"
    )


def _no_key(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in key input"
    if len(skipped) == 1 and skipped[0] == CERTIFICATE:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    return (
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of '
        f"the following types: [{' '.join(skipped)}]"
    )
