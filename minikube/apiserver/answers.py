"""Answers in the encoding that the client accepts: objects, lists, errors."""

from __future__ import annotations

import contextlib

import msgspec
from aiohttp import web

from minikube.apiserver import views
from minikube.apiserver.compression import InPieces
from minikube.apiserver.negotiation import JSON, PROTOBUF, STATUS, YAML, Wanted, wanted
from minikube.errors import ApiError, NotAcceptable


def offered(request: web.BaseRequest) -> Wanted:
    """How an object is answered that is never stored. Raises NotAcceptable."""
    return wanted(request.headers.get("Accept", ""), views=False, messages=True)


def answer(body: bytes | list[bytes], offer: Wanted, *, status: int = 200) -> web.StreamResponse:
    if offer.media == YAML:
        import yaml

        whole = body if isinstance(body, bytes) else b"".join(body)
        body = yaml.safe_dump(msgspec.json.decode(whole), sort_keys=False).encode()
    headers = {"Content-Type": offer.media}
    if isinstance(body, bytes):
        return web.Response(body=body, status=status, headers=headers)
    return InPieces(body, status=status, headers=headers)


def error_response(error: ApiError, accept: str = "") -> web.Response:
    """A Status; in JSON for whoever accepts nothing that can be had."""
    media = JSON
    if not isinstance(error, NotAcceptable):
        with contextlib.suppress(NotAcceptable):
            media = PROTOBUF if wanted(accept, messages=True).media == PROTOBUF else JSON
    headers = {"Content-Type": media}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body = views.plain(error.status(), STATUS, Wanted(media=media))
    return web.Response(body=body, status=error.code, headers=headers)
