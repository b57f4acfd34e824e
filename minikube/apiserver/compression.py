"""Big answers go compressed to clients that take gzip (apiserver's responsewriters: 128 KiB, fastest level), and
bigger ones that do not in pieces: to put together or encrypt 30 MB at once would hold up everybody else.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping, Sequence

from aiohttp import web

MINIMUM = 128 * 1024
LEVEL = 1
PIECE = 256 * 1024
GZIP = 16 + zlib.MAX_WBITS


class InPieces(web.StreamResponse):
    """An answer whose body has not been put together."""

    def __init__(self, pieces: Sequence[bytes], *, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status=status, headers=headers)
        self.pieces = pieces

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))


async def compressed(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """The answer to send: the same, or its body compressed on a thread; a big one has been sent already."""
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        pieces: Sequence[bytes] = [response.body]
    elif isinstance(response, InPieces):
        pieces = response.pieces
    else:
        return response
    if "Content-Encoding" in response.headers or response.prepared:
        return response
    response.headers.setdefault("Cache-Control", "no-cache, private")
    size = sum(map(len, pieces))
    if size >= MINIMUM and _takes_gzip(request):
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        return _whole(response, await asyncio.to_thread(_gzip, pieces))
    if size <= 2 * PIECE or request.method == "HEAD":
        return response if isinstance(response, web.Response) else _whole(response, b"".join(pieces))
    return await _sent(request, response, pieces)


def _whole(response: web.StreamResponse, body: bytes) -> web.Response:
    return web.Response(body=body, status=response.status, headers=response.headers)


def _gzip(pieces: Sequence[bytes]) -> bytes:
    stream = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return b"".join([*map(stream.compress, pieces), stream.flush()])


async def _sent(
    request: web.BaseRequest, response: web.StreamResponse, pieces: Sequence[bytes]
) -> web.StreamResponse:
    """Others have their turn after each piece."""
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = sum(map(len, pieces))
    await stream.prepare(request)
    for piece in pieces:
        for start in range(0, len(piece), PIECE):
            await stream.write(piece[start : start + PIECE])
            await asyncio.sleep(0)
    await stream.write_eof()
    return stream


def _takes_gzip(request: web.BaseRequest) -> bool:
    offers = request.headers.get("Accept-Encoding", "").split(",")
    return request.method == "GET" and any(offer.split(";")[0].strip() == "gzip" for offer in offers)
