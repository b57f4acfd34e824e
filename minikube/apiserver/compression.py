"""Big answers go compressed to clients that take gzip (apiserver's responsewriters: 128 KiB, fastest level)."""

from __future__ import annotations

import asyncio
import gzip

from aiohttp import web

MINIMUM = 128 * 1024
LEVEL = 1


async def compressed(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """The answer to send: the same, or its body compressed on a thread."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    if "Content-Encoding" in response.headers:
        return response
    response.headers.setdefault("Cache-Control", "no-cache, private")
    if len(response.body) < MINIMUM or response.prepared or not _takes_gzip(request):
        return response
    body = response.body
    response.body = await asyncio.to_thread(gzip.compress, body, LEVEL)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response


def _takes_gzip(request: web.BaseRequest) -> bool:
    offers = request.headers.get("Accept-Encoding", "").split(",")
    return request.method == "GET" and any(offer.split(";")[0].strip() == "gzip" for offer in offers)
