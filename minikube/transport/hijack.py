"""Connections that stop being HTTP: after a 101 the bytes are ours, with back-pressure both ways.

The only place that knows aiohttp's insides: tests/unit/transport/test_hijack.py is pinned to its version.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol, cast

import aiohttp
from aiohttp import web

HIGH_WATER = 256 * 1024
"""Bytes read ahead before the peer is made to wait."""


class ByteStream(Protocol):
    """A connection as plain bytes."""

    async def read(self) -> bytes:
        """Whatever has come, at least one byte; b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Waits while the peer does not take it. Raises ConnectionError."""
        ...

    def close(self) -> None: ...


class RawStream(asyncio.Protocol):
    """A transport's bytes. `former` is the protocol that had it before and still wants to hear of its end."""

    def __init__(self, former: asyncio.BaseProtocol | None = None, head: bytes = b"") -> None:
        self.transport: asyncio.Transport | None = None
        self._former = former
        self._chunks: deque[bytes] = deque([head] if head else ())
        self._buffered = len(head)
        self._sink: RawStream | None = None
        self._source: RawStream | None = None
        self._ended = self._finished = False
        """Nothing more comes; nothing more is written."""
        self._reading_paused = self._writing_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writers: list[asyncio.Future[None]] = []
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.owner: object = None
        """What must live as long as the stream does."""

    @classmethod
    def take(cls, transport: asyncio.Transport, former: asyncio.BaseProtocol | None, head: bytes) -> RawStream:
        """Become the protocol of an open transport; `head` are bytes that it had already delivered."""
        stream = cls(former, head)
        transport.set_protocol(stream)
        stream.connection_made(transport)
        if former is not None and not transport.is_reading():
            transport.resume_reading()
        return stream

    # ---- as a stream ---------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Whatever has come, at least one byte; b"" at the end."""
        while not self._chunks:
            if self._ended or self._lost.done():
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        self._resume()
        return data

    def unread(self, data: bytes) -> None:
        """Give back what was read too much."""
        if data:
            self._chunks.appendleft(data)
            self._buffered += len(data)

    async def write(self, data: bytes) -> None:
        """Waits while the peer does not take it. Raises ConnectionError."""
        if self.transport is None or self._lost.done():
            raise ConnectionResetError("the connection is closed")
        self.transport.write(data)
        if self._writing_paused:
            waiter = asyncio.get_running_loop().create_future()
            self._writers.append(waiter)
            await waiter

    def write_eof(self) -> None:
        """Nothing more will be written; TLS knows no half-closed connections and closes."""
        if self.transport is None or self.transport.is_closing():
            return
        if self.transport.can_write_eof() and not self._ended:
            self._finished = True
            self.transport.write_eof()
        else:
            self.transport.close()

    def close(self) -> None:
        """What was written still goes out."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    async def wait_closed(self) -> None:
        await asyncio.shield(self._lost)

    @property
    def open(self) -> bool:
        return not self._ended and self.transport is not None and not self.transport.is_closing()

    def pour(self, sink: RawStream) -> None:
        """From now on everything that comes goes to `sink`, as fast as that takes it; its end too."""
        self._sink, sink._source = sink, self
        self._resume()
        if sink._writing_paused:
            self._pause()
        if sink.transport is not None and not sink.transport.is_closing():
            sink.transport.writelines(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._ended or self._lost.done():
            sink.write_eof()

    # ---- as a protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._sink is not None:
            if self._sink.transport is not None and not self._sink.transport.is_closing():
                self._sink.transport.write(data)
            return
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered > HIGH_WATER:
            self._pause()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        if self._sink is not None:
            self._sink.write_eof()
        return self.transport is not None and self.transport.can_write_eof() and not self._finished

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._lost.done():
            self._lost.set_result(None)
        self._wake()
        self._release(exc or ConnectionResetError("the connection was closed"))
        if self._sink is not None:
            self._sink.close()
        if self._source is not None:
            self._source.close()
        if self._former is not None:
            self._former.connection_lost(exc)

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self._source is not None:
            self._source._pause()

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._source is not None:
            self._source._resume()
        self._release(None)

    def _release(self, error: Exception | None) -> None:
        waiting, self._writers = self._writers, []
        for waiter in waiting:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(ConnectionResetError(str(error)))

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _pause(self) -> None:
        if not self._reading_paused and self.transport is not None and not self.transport.is_closing():
            self._reading_paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._reading_paused and self.transport is not None and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()


class Hijacked(web.StreamResponse):
    """What the handler of a hijacked connection returns when it is done: aiohttp must write nothing."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def hijack(request: web.BaseRequest, headers: Mapping[str, str] | None) -> RawStream:
    """Answer 101 with these headers (None: leave the answer to whoever writes) and take the connection. The
    handler stays its owner: it returns `Hijacked()` when it is done with it, and only then."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    protocol: Any = request.protocol
    head, protocol._message_tail = bytes(protocol._message_tail), b""
    stream = RawStream.take(transport, protocol, head)
    if headers is not None:
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + header_lines(headers))
    return stream


def header_lines(headers: Mapping[str, str]) -> bytes:
    """As they go over the wire, with the empty line behind them."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"


def hijack_response(response: aiohttp.ClientResponse) -> RawStream:
    """Take the connection of a 101 answer. Close the stream in the end."""
    connection = response.connection
    transport = connection.transport if connection is not None else None
    protocol: Any = connection.protocol if connection is not None else None
    if protocol is None or transport is None:
        raise ConnectionResetError("the peer has gone")
    head, protocol._tail = bytes(protocol._tail), b""
    stream = RawStream.take(transport, protocol, head)
    stream.owner = response
    return stream


async def dial(host: str, port: int, *, sock: socket.socket | None = None) -> RawStream:
    """A plain TCP connection. Raises OSError."""
    loop = asyncio.get_running_loop()
    if sock is not None:
        await loop.sock_connect(sock, (host, port))
        _, stream = await loop.create_connection(RawStream, sock=sock)
    else:
        _, stream = await loop.create_connection(RawStream, host, port)
    return stream


async def upgrade(stream: RawStream, method: str, target: str, headers: Mapping[str, str]) -> int:
    """Ask for an upgrade on a fresh connection; the status of the answer, after whose head the stream stands."""
    await stream.write(f"{method} {target} HTTP/1.1\r\n".encode() + header_lines(headers))
    head = b""
    while b"\r\n\r\n" not in head:
        data = await stream.read()
        if not data or len(head) > HIGH_WATER:
            raise ConnectionResetError("the peer closed the connection before it answered")
        head += data
    head, _, rest = head.partition(b"\r\n\r\n")
    stream.unread(rest)
    status = head.split(b" ", 2)[1]
    return int(status) if status.isdigit() else 0


async def splice(one: RawStream, other: RawStream) -> None:
    """Both ways until both are closed. Cancelling closes both."""
    try:
        one.pour(other)
        other.pour(one)
        await one.wait_closed()
        await other.wait_closed()
    finally:
        one.close()
        other.close()
