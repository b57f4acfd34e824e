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
from aiohttp.http_exceptions import HttpProcessingError

from minikube.kit.keeper import BACKLOG, Keeper
from minikube.transport.client_certificates import ask_for_any

log = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
GONE_SECONDS = 1.0
LONGEST_LINE = 1 << 16
"""Of a request's first line and of each header: tokens with many groups and long selectors are legitimate."""


class _Malformed(logging.Filter):
    """What is no HTTP is answered with 400 and told in a line: it says nothing about us."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.exc_info, record.exc_text = None, None
            record.msg = f"malformed HTTP: {record.msg}"
        return True


logging.getLogger("aiohttp.server").addFilter(_Malformed())


def server_context(certificate: Path, key: Path, client_cas: Sequence[Path] = ()) -> ssl.SSLContext:
    """TLS 1.2 or later; with CAs, a client certificate is asked for, not demanded, and whoever answers the request
    judges it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    for ca in client_cas:
        context.load_verify_locations(ca)
    if client_cas:
        ask_for_any(context)
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
    """The client's certificate in DER; that it has the key is all that is known of it. Empty: it has none."""
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
        await asyncio.gather(task, return_exceptions=True)  # which may have failed for a client that has gone
