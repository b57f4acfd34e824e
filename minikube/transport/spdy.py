"""SPDY/3.1 as Kubernetes clients and container runtimes use it: many byte streams on one connection.

Rules: the SPDY/3.1 draft, and github.com/moby/spdystream for what real peers do: stream headers say what a stream
is, every SYN_STREAM is answered with SYN_REPLY, PINGs are echoed, nobody looks at WINDOW_UPDATEs (the peers send as
much as TCP takes, and so do we).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import zlib
from collections import deque
from collections.abc import Mapping
from types import TracebackType

from minikube.transport.hijack import LOOK_SECONDS, ByteStream

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
REFUSED, CANCEL = 3, 5
CHUNK = 64 * 1024
"""Bytes of one data frame at most, so that streams take turns."""
READ_AHEAD = 1024 * 1024
"""Bytes that wait for a slow reader of one stream before the whole connection waits."""
_LENGTH = 0xFFFFFF


class SpdyError(ConnectionError):
    """The peer does not speak SPDY/3.1."""


class SpdyStream:
    """One stream; both directions end on their own."""

    def __init__(self, connection: SpdyConnection, number: int, headers: Mapping[str, str]) -> None:
        self._connection, self.number, self.headers = connection, number, headers
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._remote_closed = self._local_closed = False
        self._readable = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    async def read(self) -> bytes:
        """Whatever has come, at least one byte; b"" at the end."""
        while not self._chunks:
            if self._remote_closed:
                return b""
            self._readable.clear()
            await self._readable.wait()
        data = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        self._drained.set()
        return data

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError."""
        if self._local_closed:
            raise ConnectionResetError("the stream is closed")
        for at in range(0, len(data), CHUNK):
            await self._connection._data(self.number, data[at : at + CHUNK], 0)

    async def close(self) -> None:
        """End of what we write."""
        if not self._local_closed:
            self._local_closed = True
            if self._remote_closed:
                self._connection._streams.pop(self.number, None)
            await self._connection._data(self.number, b"", FIN)

    async def reset(self) -> None:
        """Both directions are over."""
        if not (self._local_closed and self._remote_closed):
            self._local_closed = True
            self._end()
            await self._connection._control(RST_STREAM, 0, struct.pack(">II", self.number, CANCEL))

    async def _feed(self, data: bytes) -> None:
        if not self._remote_closed:
            self._chunks.append(data)
            self._buffered += len(data)
            self._readable.set()
            if self._buffered > READ_AHEAD:
                self._drained.clear()
                await self._drained.wait()

    def _end(self) -> None:
        self._remote_closed = True
        self._readable.set()
        self._drained.set()


class SpdyConnection:
    """Use as `async with SpdyConnection(carrier, server=True) as spdy`; reading goes on while the block runs."""

    def __init__(self, carrier: ByteStream, *, server: bool) -> None:
        self._carrier = carrier
        self._next = 2 if server else 1
        self._streams: dict[int, SpdyStream] = {}
        self._incoming: asyncio.Queue[SpdyStream | None] = asyncio.Queue()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._reading: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SpdyConnection:
        self._reading = asyncio.create_task(self._read(), name="spdy")
        self._leaving = asyncio.create_task(self._left(), name="peer of spdy")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._reading, self._leaving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._carrier.close()

    async def accept(self) -> SpdyStream | None:
        """The next stream that the peer opened; None when the connection has ended."""
        stream = await self._incoming.get()
        if stream is None:
            self._incoming.put_nowait(None)
        return stream

    async def open(self, headers: Mapping[str, str]) -> SpdyStream:
        """A new stream. Raises ConnectionError."""
        number, self._next = self._next, self._next + 2
        stream = self._streams[number] = SpdyStream(self, number, headers)
        await self._control(SYN_STREAM, 0, struct.pack(">IIH", number, 0, 0) + self._packed(headers))
        return stream

    async def wait_closed(self) -> None:
        if self._reading is not None:
            await asyncio.wait([self._reading])

    @property
    def stuck(self) -> bool:
        """Whether the connection waits for a slow reader of one of its streams."""
        return any(not stream._drained.is_set() for stream in self._streams.values())

    async def ping(self) -> None:
        """A peer that has left answers by a reset. Raises ConnectionError."""
        await self._control(PING, 0, struct.pack(">I", self._next))

    async def _left(self) -> None:
        """While `_read` waits for a slow reader, nobody else would hear that the peer has left; its FIN may be
        queued behind what it sent, so it is pinged."""
        leaving = asyncio.create_task(self._carrier.left(), name="carrier of spdy")
        try:
            while not (await asyncio.wait({leaving}, timeout=LOOK_SECONDS))[0]:
                if self.stuck:
                    with contextlib.suppress(TimeoutError, ConnectionError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await self.ping()
        finally:
            leaving.cancel()
            await asyncio.wait({leaving})
        if self._reading is not None and self.stuck:
            self._reading.cancel()

    # ---- frames out ----------------------------------------------------------------------------------

    async def _data(self, number: int, data: bytes, flags: int) -> None:
        await self._carrier.write(struct.pack(">II", number, flags << 24 | len(data)) + data)

    async def _control(self, kind: int, flags: int, body: bytes) -> None:
        await self._carrier.write(struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body)

    def _packed(self, headers: Mapping[str, str]) -> bytes:
        block = bytearray(struct.pack(">I", len(headers)))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                block += struct.pack(">I", len(text)) + text
        return self._deflate.compress(bytes(block)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    # ---- frames in -----------------------------------------------------------------------------------

    async def _read(self) -> None:
        buffer = bytearray()
        try:
            while data := await self._carrier.read():
                buffer += data
                at = 0
                while len(buffer) - at >= 8:
                    word, rest = struct.unpack_from(">II", buffer, at)
                    size, flags = rest & _LENGTH, rest >> 24
                    if len(buffer) - at < 8 + size:
                        break
                    body = bytes(memoryview(buffer)[at + 8 : at + 8 + size])
                    at += 8 + size
                    if word & 0x80000000:
                        await self._controlled(word & 0xFFFF, flags, body)
                    else:
                        await self._received(word, flags, body)
                del buffer[:at]
        except (SpdyError, ConnectionError, zlib.error, struct.error):
            self._carrier.close()
        finally:
            for stream in self._streams.values():
                stream._end()
            self._incoming.put_nowait(None)

    async def _received(self, number: int, flags: int, body: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        if body:
            await stream._feed(body)
        if flags & FIN:
            stream._end()
            if stream._local_closed:
                del self._streams[number]

    async def _controlled(self, kind: int, flags: int, body: bytes) -> None:
        if kind == SYN_STREAM:
            (number,) = struct.unpack_from(">I", body)
            stream = self._streams[number] = SpdyStream(self, number, self._unpacked(body[10:]))
            if flags & FIN:
                stream._end()
            await self._control(SYN_REPLY, 0, struct.pack(">I", number) + self._packed({}))
            self._incoming.put_nowait(stream)
        elif kind in (SYN_REPLY, HEADERS):
            (number,) = struct.unpack_from(">I", body)
            self._unpacked(body[4:])
            if flags & FIN and (found := self._streams.get(number)) is not None:
                found._end()
        elif kind == RST_STREAM:
            (number,) = struct.unpack_from(">I", body)
            found = self._streams.pop(number, None)
            if found is not None:
                found._local_closed = True
                found._end()
        elif kind == PING:
            (number,) = struct.unpack_from(">I", body)
            if number % 2 != self._next % 2:
                await self._control(PING, 0, body)
        elif kind not in (SETTINGS, GOAWAY, WINDOW_UPDATE):
            raise SpdyError(f"unknown control frame {kind}")

    def _unpacked(self, block: bytes) -> dict[str, str]:
        raw = self._inflate.decompress(block)
        (count,) = struct.unpack_from(">I", raw)
        texts, at = [], 4
        for _ in range(2 * count):
            (size,) = struct.unpack_from(">I", raw, at)
            texts.append(raw[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return dict(zip(texts[::2], texts[1::2], strict=True))


_WORDS = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|a"
    "ge|allow|authorization|cache-control|connection|content-base|content-encoding|content-language|content-l"
    "ength|content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-matc"
    "h|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|pragm"
    "a|proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|u"
    "pgrade|user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public"
    "|set-cookie|keep-alive|origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 "
    "Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul "
    "Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,"
    "image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,"
    "sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS.split("|")) + _TAIL.encode()
"""What both ends' zlib is primed with (section 2.6.10.1 of the draft)."""
