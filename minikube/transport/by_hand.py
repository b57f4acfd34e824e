"""HTTP by hand, where bytes are to pass as they come: a request on a fresh connection, the head of its answer, and
the body passed on unread, past the parser and the writer of aiohttp.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from minikube.transport.hijack import HIGH_WATER, Hijacked, RawStream, header_lines, hijack, splice


class Answered(msgspec.Struct, frozen=True):
    """The head of an answer. What follows it is still in the stream."""

    status: int
    headers: CIMultiDict[str]
    stream: RawStream

    @property
    def chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    async def body(self) -> bytes:
        """Of an answer that is not chunked. Raises ConnectionError."""
        length = self.headers.get("content-length")
        found = b""
        while length is None or len(found) < int(length):
            data = await self.stream.read()
            if not data:
                break
            found += data
        if length is not None and len(found) < int(length):
            raise ConnectionResetError("the peer closed the connection within its answer")
        return found


async def ask(stream: RawStream, method: str, target: str, headers: Mapping[str, str]) -> Answered:
    """Ask on a fresh connection, for an upgrade or with `Connection: close`. Raises ConnectionError."""
    await stream.write(f"{method} {target} HTTP/1.1\r\n".encode() + header_lines(headers))
    head = b""
    while b"\r\n\r\n" not in head:
        data = await stream.read()
        if not data or len(head) > HIGH_WATER:
            raise ConnectionResetError("the peer closed the connection before it answered")
        head += data
    head, _, rest = head.partition(b"\r\n\r\n")
    stream.unread(rest)
    first, *lines = head.decode("latin-1").split("\r\n")
    status = [*first.split(" ", 2), ""][1]
    fields = (line.partition(":") for line in lines)
    found = CIMultiDict((name.strip(), value.strip()) for name, _, value in fields)
    return Answered(int(status) if status.isdigit() else 0, found, stream)


async def pass_on(request: web.BaseRequest, answered: Answered, headers: Mapping[str, str]) -> web.StreamResponse:
    """Answer with these headers and the chunks of who was asked with `Connection: close`, whose end is the end.
    The connection of a client is not used again. Only for HTTP/1.1."""
    client = hijack(request, None)
    framing = {"Transfer-Encoding": "chunked", "Connection": "close"}
    await client.write(f"HTTP/1.1 {answered.status} OK\r\n".encode() + header_lines({**headers, **framing}))
    await splice(client, answered.stream)
    return Hijacked(answered.status)
