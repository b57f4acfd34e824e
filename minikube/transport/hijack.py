"""Connections that stop being HTTP: after a 101 the bytes are ours, with back-pressure both ways.

The only place that knows aiohttp's insides: tests/unit/transport/test_hijack.py is pinned to its version.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol, cast

import aiohttp
from aiohttp import web

HIGH_WATER = 256 * 1024
"""Bytes read ahead before the peer is made to wait."""
LOOK_SECONDS = 1.0
"""How often it is asked whether a peer that is not read has left."""
STUCK_LOOKS = 3
"""So many looks without a byte moving, and what a peer said before it left has no reader."""
TCP_ESTABLISHED, TCP_CLOSE = 1, 7


class ByteStream(Protocol):
    """A connection as plain bytes."""

    async def read(self) -> bytes:
        """Whatever has come, at least one byte; b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Waits while the peer does not take it. Raises ConnectionError."""
        ...

    def close(self) -> None: ...

    async def left(self) -> None:
        """Returns when the peer has left, also while nothing is read."""
        ...


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
        self._moved = 0
        """Bytes that have come."""
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
        """What was written and not yet taken is lost, and the peer hears of it at once."""
        if self.transport is not None:
            reset(self.transport)

    async def wait_closed(self) -> None:
        await asyncio.shield(self._lost)

    async def left(self) -> None:
        """Returns when the connection is over, or the peer has closed it while nothing that it sent is taken."""
        looks, moved = 0, -1
        while looks < STUCK_LOOKS:
            if (await asyncio.wait({self._lost}, timeout=LOOK_SECONDS))[0] or self._broken():
                return
            unread = self._reading_paused or self.transport is None or self.transport.is_closing()
            stuck = unread and self._moved == moved and tcp_state(self.transport) != TCP_ESTABLISHED
            looks, moved = looks + 1 if stuck else 0, self._moved

    async def broken(self) -> None:
        """Returns when nothing can come any more, whatever is still to be taken of it."""
        while not (await asyncio.wait({self._lost}, timeout=LOOK_SECONDS))[0] and not self._broken():
            pass

    def _broken(self) -> bool:
        return tcp_state(self.transport) == TCP_CLOSE

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
        self._moved += len(data)
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

    def __init__(self, status: int = 101) -> None:
        super().__init__(status=status)
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


async def splice(client: RawStream, backend: RawStream) -> None:
    """Both ways until both are closed. When the client leaves, the backend has a moment to take what it said,
    however full the way between them is; a client takes what the backend said as slowly as it likes.
    Cancelling closes both."""
    try:
        client.pour(backend)
        backend.pour(client)
        leaving = asyncio.create_task(client.left(), name="client of a splice")
        closing = asyncio.create_task(backend.broken(), name="backend of a splice")
        try:
            await asyncio.wait({leaving, closing}, return_when=asyncio.FIRST_COMPLETED)
            if closing.done():
                client.close()
                await leaving
        finally:
            for task in (leaving, closing):
                task.cancel()
            await asyncio.wait({leaving, closing})
        client.abort()
        backend.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STUCK_LOOKS * LOOK_SECONDS):
                await backend.wait_closed()
    finally:
        client.abort()
        backend.abort()


def tcp_state(transport: asyncio.BaseTransport | None) -> int:
    """As the kernel counts them: 1 established, 8 the peer has closed, 7 reset. Also while nothing is read, when
    asyncio itself hears of nothing. What is not TCP is always established."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return TCP_ESTABLISHED
    try:
        return int(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0])
    except OSError:
        return TCP_CLOSE


async def departure(transport: asyncio.BaseTransport | None) -> None:
    """Returns when the peer has closed its end, also while nothing is read."""
    while tcp_state(transport) == TCP_ESTABLISHED:  # noqa: ASYNC110 -- the kernel tells nobody
        await asyncio.sleep(LOOK_SECONDS)


def reset(transport: asyncio.WriteTransport) -> None:
    """Close at once; the peer gets a RST even if it left its own end unread (a FIN would queue behind the data)."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
