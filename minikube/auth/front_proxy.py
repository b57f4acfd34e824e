"""A front proxy that has authenticated somebody itself says whom in X-Remote-* headers; it is believed for its
certificate.

Rules: kubernetes.io/docs/reference/access-authn-authz/authentication#authenticating-proxy.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography import x509

from minikube.auth.base import AUTHENTICATED, Credentials, User
from minikube.auth.certificates import REMEMBERED, Authorities, Span, load_certificates, parsed, span_of
from minikube.pki.certificates import common_name


class FrontProxy:
    """`names`: common names a proxy may have; none: any."""

    def __init__(self, ca: Path, names: Sequence[str]) -> None:
        """Raises OSError, ValueError for a file that is no good now."""
        load_certificates([ca])
        self._authorities = Authorities([ca])
        self._names = frozenset(names)
        self._known_with: tuple[x509.Certificate, ...] = ()
        self._known: dict[bytes, Span | None] = {}

    async def authenticate(self, credentials: Credentials) -> User | None:
        """None when the connection is not a front proxy's: then its headers mean nothing."""
        remote, der = credentials.remote, credentials.certificate
        if remote is None or not der or not self._trusted(der):
            return None
        groups = remote.groups if AUTHENTICATED in remote.groups else (*remote.groups, AUTHENTICATED)
        return msgspec.structs.replace(remote, groups=groups)

    def _trusted(self, der: bytes) -> bool:
        trusted = self._authorities.trusted()
        if trusted is not self._known_with:
            self._known_with = trusted
            self._known.clear()
        digest = sha256(der).digest()
        if digest not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[digest] = self._span(der, trusted)
        span = self._known[digest]
        return span is not None and span.now()

    def _span(self, der: bytes, trusted: Sequence[x509.Certificate]) -> Span | None:
        try:
            certificate = parsed(der)
            named = not self._names or common_name(certificate.subject) in self._names
            return span_of(certificate, trusted) if named else None
        except ValueError:
            return None
