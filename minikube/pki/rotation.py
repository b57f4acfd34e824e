"""Changing a CA under a running cluster.

`begin` makes the new CA sign at once while both are trusted: the bundle is [new, old]. The old CA also signs the
new one (the cross certificate, sent along with the server's own and with ours as a front proxy), so that whoever
trusts only the old one still accepts us. `finish` forgets the old CA. In each step one rename counts; what a crash
leaves is done later.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from minikube.kit.files import write_private
from minikube.pki.certificates import ca_builder, ensure_key, self_signed

PROXY_CA = "request-header-ca"
CAS = ("server-ca", "client-ca", PROXY_CA)
ROTATE = "rotate-now"
"""A file of this name in a directory of certificates asks the running process for new ones."""


def begin(directory: Path, name: str, now: datetime) -> None:
    """Raises ValueError: a change is under way already."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    bundle = x509.load_pem_x509_certificates(certificate.read_bytes())
    if len(bundle) > 1:
        raise ValueError(f"{name} is changing already: {len(bundle)} CAs are trusted")
    old, old_key = bundle[0], ensure_key(key)
    next_key = ensure_key(_next(key))
    new = self_signed(next_key, f"minikube-{name}@{int(now.timestamp())}")
    write_private(_cross(directory, name), _pem(_crossed(old, old_key, new)), 0o644)
    write_private(certificate, _pem(new) + _pem(old), 0o644)
    finish_interrupted(directory, name)


def finish(directory: Path, name: str) -> bool:
    """Trust only the CA that signs now; False: there was no other."""
    certificate = directory / f"{name}.crt"
    bundle = x509.load_pem_x509_certificates(certificate.read_bytes())
    write_private(certificate, _pem(bundle[0]), 0o644)
    _cross(directory, name).unlink(missing_ok=True)
    return len(bundle) > 1


def finish_interrupted(directory: Path, name: str) -> None:
    """The new certificate counts: bring its key to its place, or drop the one of a change that never came."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    waiting = _next(key)
    if not waiting.exists():
        return
    if x509.load_pem_x509_certificate(certificate.read_bytes()).public_key() == ensure_key(waiting).public_key():
        waiting.replace(key)
    else:
        waiting.unlink()


def cross_certificate(directory: Path, name: str) -> bytes:
    """PEM; empty when no change is under way."""
    path = _cross(directory, name)
    return path.read_bytes() if path.exists() else b""


def request_renewal(directory: Path) -> None:
    """Ask the process that uses these certificates for new ones."""
    (directory / ROTATE).touch(mode=0o600)


def clock_problem(now: datetime, ca: bytes, newest: datetime) -> str:
    """Why this machine's clock cannot be right; empty: it may be. `newest` is when something here was last written.

    A clock before the CA's own time makes every certificate invalid, ours and what we would issue now.
    """
    authority = x509.load_pem_x509_certificate(ca)
    since, until = authority.not_valid_before_utc, authority.not_valid_after_utc
    told = f"the clock of this machine says {_utc(now)}"
    if now < since:
        return f"{told}, but the cluster's CA was made after {_utc(since)}: no certificate is valid yet"
    if now >= until:
        return f"{told}, but the cluster's CA ended at {_utc(until)}: no certificate is valid any more"
    if now < newest:
        return f"{told}, but data of this cluster was written at {_utc(newest)}"
    return ""


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _crossed(old: x509.Certificate, old_key: ec.EllipticCurvePrivateKey, new: x509.Certificate) -> x509.Certificate:
    """The new CA, signed by the old one; good as long as the old one is."""
    key = new.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    start, end = new.not_valid_before_utc, min(new.not_valid_after_utc, old.not_valid_after_utc)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(old_key.public_key())  # Python 3.13 demands it
    builder = ca_builder(new.subject, old.subject, key, start, end).add_extension(signer, critical=False)
    return builder.sign(old_key, hashes.SHA256())


def _next(key: Path) -> Path:
    return key.with_name(f"{key.name}.next")


def _cross(directory: Path, name: str) -> Path:
    return directory / f"{name}-cross.crt"


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
