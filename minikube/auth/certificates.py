"""Client certificates: the common name is the user, the organizations are the groups.

TLS has checked chain and purpose before it gets here, but no times. That the certificate was issued by the CA for
clients (and not by another one that TLS trusts too, such as the front proxy's) is checked here, once for every
certificate; its times with every request, so that one which has ended is answered as upstream does: 401.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from minikube.auth.base import AUTHENTICATED, Credentials, User
from minikube.errors import Unauthorized

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
REMEMBERED = 4096


class Span(msgspec.Struct, frozen=True):
    """The time in which a certificate and its CA are both good."""

    since: datetime
    until: datetime

    def now(self) -> bool:
        return self.since <= datetime.now(UTC) <= self.until


class Known(msgspec.Struct, frozen=True):
    """Whom a certificate of ours names, and when."""

    user: User
    span: Span


class CertificateAuthenticator:
    """`cas`: files of PEM certificates, read again whenever one of them has changed."""

    def __init__(self, cas: Sequence[Path]) -> None:
        self._cas = cas
        self._seen: tuple[int, ...] = ()
        self._trusted: list[x509.Certificate] = []
        self._known: dict[bytes, Known | None] = {}

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized, also for a certificate that has ended since its connection was opened, or before."""
        der = credentials.certificate
        if not der:
            return None
        self._reload()
        if der not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[der] = _read(der, self._trusted)
        known = self._known[der]
        if known is None:
            raise Unauthorized("x509: certificate signed by unknown authority")
        if not known.span.now():
            raise Unauthorized("x509: certificate has expired or is not yet valid")
        return known.user

    def _reload(self) -> None:
        seen = tuple(path.stat().st_mtime_ns for path in self._cas)
        if self._seen != seen:
            self._seen, self._trusted = seen, load_certificates(self._cas)
            self._known.clear()


def load_certificates(paths: Iterable[Path]) -> list[x509.Certificate]:
    return [one for path in paths for one in x509.load_pem_x509_certificates(path.read_bytes())]


def span_of(certificate: x509.Certificate, cas: Iterable[x509.Certificate]) -> Span | None:
    """None: none of the CAs has issued it."""
    for ca in cas:
        try:
            certificate.verify_directly_issued_by(ca)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return Span(
            max(certificate.not_valid_before_utc, ca.not_valid_before_utc),
            min(certificate.not_valid_after_utc, ca.not_valid_after_utc),
        )
    return None


def common_name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _read(der: bytes, cas: Sequence[x509.Certificate]) -> Known | None:
    certificate = x509.load_der_x509_certificate(der)
    name, span = common_name(certificate), span_of(certificate, cas)
    if not name or span is None:
        return None
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    groups = (*(str(one.value) for one in organizations), AUTHENTICATED)
    identity = f"X509SHA256={hashlib.sha256(der).hexdigest()}"
    return Known(User(name, groups=groups, extra={CREDENTIAL_ID: (identity,)}), span)
