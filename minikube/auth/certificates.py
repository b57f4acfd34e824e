"""Client certificates: the common name is the user, the organizations are the groups.

TLS has checked that the client has the key, and nothing else, so that a certificate that is no good is answered as
upstream does: 401. That it was issued by the CA for clients, for use by clients, is checked here, once for every
certificate; its times with every request.
"""

from __future__ import annotations

import hashlib
import logging
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
from minikube.pki.certificates import common_name

log = logging.getLogger(__name__)

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


class Authorities:
    """CAs in PEM files, read again a second after one of them has changed."""

    def __init__(self, files: Sequence[Path], clock: Clock = SYSTEM) -> None:
        self._files, self._clock = files, clock
        self._looked = -LOOK_EVERY
        self._seen: tuple[int, ...] = ()
        self._trusted: tuple[x509.Certificate, ...] = ()

    def trusted(self) -> tuple[x509.Certificate, ...]:
        """The same tuple until they change. While a file cannot be read, what it said before holds."""
        now = self._clock.monotonic()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            try:
                self._look()
            except (OSError, ValueError) as error:
                log.warning("the CAs of clients stay as they were: %s", error)
        return self._trusted

    def _look(self) -> None:
        seen = tuple(path.stat().st_mtime_ns for path in self._files)
        if self._seen != seen:
            self._seen = seen
            self._trusted = tuple(load_certificates(self._files))


class CertificateAuthenticator:
    """`cas`: files of the CAs that issue them."""

    def __init__(self, cas: Sequence[Path], clock: Clock = SYSTEM) -> None:
        self._authorities = Authorities(cas, clock)
        self._known: dict[bytes, Known] = {}
        self._known_with: tuple[x509.Certificate, ...] = ()

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized, also for a certificate that has ended since its connection was opened, or before."""
        der = credentials.certificate
        if not der:
            return None
        trusted = self._authorities.trusted()
        if trusted is not self._known_with:
            self._known_with = trusted
            self._known.clear()
        known = self._known.get(der)
        if known is None:
            known = _read(der, trusted)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[der] = known
        if not known.span.now():
            raise Unauthorized("x509: certificate has expired or is not yet valid")
        return known.user


def load_certificates(paths: Iterable[Path]) -> list[x509.Certificate]:
    return [one for path in paths for one in x509.load_pem_x509_certificates(path.read_bytes())]


def parsed(der: bytes) -> x509.Certificate:
    """Raises ValueError, whatever is wrong with it."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions
    except (x509.InvalidVersion, x509.DuplicateExtension) as error:
        raise ValueError(str(error)) from error
    return certificate


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


def _read(der: bytes, cas: Sequence[x509.Certificate]) -> Known:
    try:
        certificate = parsed(der)
        name, span = common_name(certificate.subject), span_of(certificate, cas)
    except ValueError as error:
        raise Unauthorized(f"x509: malformed certificate: {error}") from error
    if not name or span is None:
        raise Unauthorized("x509: certificate signed by unknown authority")
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    groups = (*(str(one.value) for one in organizations), AUTHENTICATED)
    identity = f"X509SHA256={hashlib.sha256(der).hexdigest()}"
    return Known(User(name, groups=groups, extra={CREDENTIAL_ID: (identity,)}), span)
