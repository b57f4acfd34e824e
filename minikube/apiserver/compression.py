"""Big answers go compressed to clients that take gzip (apiserver's responsewriters: 128 KiB, fastest level), and
bigger ones that do not in slices: to encrypt 30 MB at once would hold up everybody else.
"""

from __future__ import annotations

import asyncio
import gzip

from aiohttp import web

MINIMUM = 128 * 1024
LEVEL = 1
SLICE = 256 * 1024


async def compressed(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """The answer to send: the same, or its body compressed on a thread; a sliced one has been sent already."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    if "Content-Encoding" in response.headers:
        return response
    response.headers.setdefault("Cache-Control", "no-cache, private")
    if len(response.body) < MINIMUM or response.prepared:
        return response
    body = response.body
    if not _takes_gzip(request):
        whole = len(body) <= 2 * SLICE or request.method == "HEAD"
        return response if whole else await _sliced(request, response, body)
    response.body = await asyncio.to_thread(gzip.compress, body, LEVEL)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response


async def _sliced(request: web.BaseRequest, response: web.Response, body: bytes) -> web.StreamResponse:
    """Others have their turn after each slice."""
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(body)
    await stream.prepare(request)
    for start in range(0, len(body), SLICE):
        await stream.write(body[start : start + SLICE])
        await asyncio.sleep(0)
    await stream.write_eof()
    return stream


def _takes_gzip(request: web.BaseRequest) -> bool:
    offers = request.headers.get("Accept-Encoding", "").split(",")
    return request.method == "GET" and any(offer.split(";")[0].strip() == "gzip" for offer in offers)
