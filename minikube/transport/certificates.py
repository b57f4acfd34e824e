"""The TLS context of a listening server whose certificate files change while it runs.

New connections get what the files say now; those that are open are not touched.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from minikube.transport.server import server_context


class LiveContext:
    def __init__(self, certificate: Path, key: Path, client_cas: Sequence[Path] = ()) -> None:
        self._certificate, self._key, self._client_cas = certificate, key, client_cas
        self._latest = self._read()
        self.context = self._read()
        """What to listen with: it hands every handshake on to the latest one."""
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Raises OSError, ssl.SSLError; then the old ones stay."""
        self._latest = self._read()

    def _read(self) -> ssl.SSLContext:
        return server_context(self._certificate, self._key, self._client_cas)

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Asked in every handshake, also of clients that name no server."""
        connection.context = self._latest
