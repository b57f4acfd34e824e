"""Client certificates: the common name is the user, the organizations are the groups.

TLS has checked that the client has the key, and nothing else, so that a certificate that is no good is answered as
upstream does: 401. That it was issued by the CA for clients, for use by clients, is checked here, once for every
certificate; its times with every request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from minikube.auth.base import AUTHENTICATED, Credentials, User
from minikube.errors import Unauthorized
from minikube.kit.clock import SYSTEM, Clock

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
REMEMBERED = 4096
LOOK_EVERY = 1.0
"""Seconds between two looks whether a CA has changed: a look at a file with each request costs 5 % of it."""
CLIENTS = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


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
    """`cas`: files of PEM certificates, read again a second after one of them has changed."""

    def __init__(self, cas: Sequence[Path], clock: Clock = SYSTEM) -> None:
        self._cas, self._clock = cas, clock
        self._looked = -LOOK_EVERY
        self._seen: tuple[int, ...] = ()
        self._trusted: list[x509.Certificate] = []
        self._known: dict[bytes, Known] = {}

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized, also for a certificate that has ended since its connection was opened, or before."""
        der = credentials.certificate
        if not der:
            return None
        self._reload()
        known = self._known.get(der)
        if known is None:
            known = _read(der, self._trusted)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[der] = known
        if not known.span.now():
            raise Unauthorized("x509: certificate has expired or is not yet valid")
        return known.user

    def _reload(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        seen = tuple(path.stat().st_mtime_ns for path in self._cas)
        if self._seen != seen:
            self._seen, self._trusted = seen, load_certificates(self._cas)
            self._known.clear()


def load_certificates(paths: Iterable[Path]) -> list[x509.Certificate]:
    return [one for path in paths for one in x509.load_pem_x509_certificates(path.read_bytes())]


def span_of(certificate: x509.Certificate, cas: Iterable[x509.Certificate]) -> Span | None:
    """None: none of the CAs has issued it, or not for clients. Raises ValueError for one that is malformed."""
    if not _for_clients(certificate):
        return None
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


def _for_clients(certificate: x509.Certificate) -> bool:
    """Purpose, as RFC 5280, 4.2.1.12: one that names none is for all."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not CLIENTS.isdisjoint(usage)


def common_name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _read(der: bytes, cas: Sequence[x509.Certificate]) -> Known:
    try:
        certificate = x509.load_der_x509_certificate(der)
        name, span = common_name(certificate), span_of(certificate, cas)
    except ValueError as error:
        raise Unauthorized(f"x509: malformed certificate: {error}") from error
    if not name or span is None:
        raise Unauthorized("x509: certificate signed by unknown authority")
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    groups = (*(str(one.value) for one in organizations), AUTHENTICATED)
    identity = f"X509SHA256={hashlib.sha256(der).hexdigest()}"
    return Known(User(name, groups=groups, extra={CREDENTIAL_ID: (identity,)}), span)
