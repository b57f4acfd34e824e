"""/openapi/v2 and /openapi/v3: the engine's documents, made on first demand, with hashes and ETags."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
from aiohttp import web

from minikube.errors import NotFound
from minikube.registry.base import Registry
from minikube.resources.base import Kind


class OpenApi:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, tuple[tuple[Kind, ...], bytes, str]] = {}

    async def serve(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        parts = path.strip("/").split("/")[1:]
        if parts == ["v2"]:
            return await self._document(request, "v2")
        if parts == ["v3"]:
            return await self._index()
        if parts[0] == "v3" and len(parts) in (3, 4):
            return await self._document(request, "/".join(parts[1:]))
        raise NotFound.path()

    async def _index(self) -> web.Response:
        paths: dict[str, Any] = {}
        for name in sorted({_path_of(kind) for kind in self._registry.kinds()}):
            _, etag = await self._make(name)
            paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={etag}"}
        return web.Response(
            body=msgspec.json.encode({"paths": paths}), headers={"Content-Type": "application/json"}
        )

    async def _document(self, request: web.BaseRequest, name: str) -> web.Response:
        body, etag = await self._make(name)
        headers = {"ETag": f'"{etag}"', "Content-Type": "application/json", "Vary": "Accept"}
        if request.headers.get("If-None-Match", "").strip('"') == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    async def _make(self, name: str) -> tuple[bytes, str]:
        kinds = tuple(kind for kind in self._registry.kinds() if name in ("v2", _path_of(kind)))
        if not kinds:
            raise NotFound.path()
        known = self._made.get(name)
        if known is not None and known[0] == kinds:
            return known[1], known[2]
        body = await asyncio.to_thread(lambda: msgspec.json.encode(_build(name, kinds)))
        etag = hashlib.sha512(body).hexdigest()[:64].upper()
        self._made[name] = (kinds, body, etag)
        return body, etag


def _path_of(kind: Kind) -> str:
    resource = kind.resource
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def _build(name: str, kinds: tuple[Kind, ...]) -> Any:
    from minikube.schema import openapi  # type: ignore[attr-defined]

    if name == "v2":
        return openapi.v2(kinds)
    resource = kinds[0].resource
    return openapi.v3(resource.group, resource.version, kinds)
