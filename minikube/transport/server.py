"""An HTTPS server on aiohttp's low-level interface: one handler for every request, client certificates optional."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from minikube.kit.keeper import BACKLOG, Keeper

log = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
GONE_SECONDS = 1.0
LONGEST_LINE = 1 << 16
"""Of a request's first line and of each header: tokens with many groups and long selectors are legitimate."""
NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python's ssl has no name for."""


class _Handshake(ssl.SSLObject):
    """Tells a client whose certificate is of a strange CA so, before the connection ends.

    Python's ssl verifies in the handshake and has no callback that could let it go on to a 401
    (https://github.com/python/cpython/issues/75425). OpenSSL then has an alert to send, which event loops drop when
    the handshake raises: so it asks for more first, which makes them send what there is.
    """

    _failed: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            log.info("a client's certificate was refused: %s", error.verify_message)
            self._failed = error
            raise ssl.SSLWantReadError from error


def server_context(certificate: Path, key: Path, client_cas: Sequence[Path] = ()) -> ssl.SSLContext:
    """TLS 1.2 or later; a client certificate is asked for, not demanded. Its times are for authenticators to judge:
    that can answer what is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    for ca in client_cas:
        context.load_verify_locations(ca)
    if client_cas:
        context.sslobject_class = _Handshake
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | NO_CHECK_TIME)
    return context


@asynccontextmanager
async def listening(
    handler: Handler, host: str, port: int, context: ssl.SSLContext | None, keeper: Keeper | None = None
) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port. An empty host means all addresses. Raises OSError."""
    server = web.Server(
        handler, keepalive_timeout=120, access_log=None, max_line_size=LONGEST_LINE, max_field_size=LONGEST_LINE
    )
    runner = web.ServerRunner(server, shutdown_timeout=0.5)
    await runner.setup()
    try:
        sockets = (keeper or Keeper({}, 0)).listeners("tcp", host, port)
        for each in sockets:
            await web.SockSite(runner, each, ssl_context=context, backlog=BACKLOG).start()
        yield sockets[0].getsockname()[1]
    finally:
        await runner.cleanup()


def peer_certificate(request: web.BaseRequest) -> bytes:
    """The client's certificate in DER, which TLS has verified but for its times; empty: there is none."""
    transport = request.transport
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    return (connection.getpeercert(True) or b"") if connection is not None else b""


async def while_connected(request: web.BaseRequest, work: Coroutine[Any, Any, None]) -> None:
    """Do `work`, but give it up when the client has gone: a stream may have nothing to write for hours."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=GONE_SECONDS))[0]:
            if request.transport is None or request.transport.is_closing():
                return
        task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
