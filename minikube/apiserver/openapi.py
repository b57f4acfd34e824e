"""/openapi/v2 and /openapi/v3: the engine's documents, made on first demand, with hashes and ETags."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import web

from minikube.apiserver import discovery
from minikube.apiserver.remote_apis import Swagger
from minikube.errors import NotFound
from minikube.registry.base import Registry
from minikube.resources.base import Kind
from minikube.schema import openapi, openapi_protobuf
from minikube.schema.openapi import Served, Subresource
from minikube.schema.openapi_merge import merged

JSON = "application/json"


class Remote(Protocol):
    """What others serve."""

    def openapi(self) -> Mapping[str, str]:
        """The URLs of their version 3 documents, by root."""
        ...

    def swagger(self) -> Mapping[str, Swagger]:
        """What their version 2 documents say, by API."""
        ...


class OpenApi:
    def __init__(self, registry: Registry, remote: Remote | None = None) -> None:
        self._registry, self._remote = registry, remote
        self._made: dict[tuple[str, str], tuple[object, bytes, str]] = {}

    async def serve(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        parts = path.strip("/").split("/")[1:]
        if parts == ["v2"]:
            binary = any(kind in request.headers.get("Accept", "") for kind in openapi_protobuf.ASKED_AS)
            return await self._document(request, "v2", openapi_protobuf.MEDIA_TYPE if binary else JSON)
        if parts == ["v3"]:
            return await self._index()
        if parts[0] == "v3" and len(parts) in (3, 4):
            return await self._document(request, "/".join(parts[1:]), JSON)
        raise NotFound.path()

    async def _index(self) -> web.Response:
        index = openapi.v3_index([served(kind) for kind in self._registry.kinds()])
        theirs = self._remote.openapi() if self._remote is not None else {}
        index["paths"].update({root: {"serverRelativeURL": url} for root, url in theirs.items()})
        return web.Response(body=msgspec.json.encode(index), headers={"Content-Type": JSON})

    async def _document(self, request: web.BaseRequest, name: str, media: str) -> web.Response:
        body, etag = await self._make(name, media)
        headers = {"ETag": f'"{etag}"', "Content-Type": media, "Vary": "Accept"}
        if request.headers.get("If-None-Match", "").strip('"') == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    async def _make(self, name: str, media: str) -> tuple[bytes, str]:
        kinds = tuple(kind for kind in self._registry.kinds() if name in ("v2", _path_of(kind)))
        if not kinds:
            raise NotFound.path()
        theirs = tuple(self._remote.swagger().values()) if self._remote is not None and name == "v2" else ()
        made_of = (kinds, theirs)
        known = self._made.get((name, media))
        if known is not None and known[0] == made_of:
            return known[1], known[2]
        encode = msgspec.json.encode if media == JSON else openapi_protobuf.encode
        body = await asyncio.to_thread(lambda: encode(_build(name, kinds, [each.part for each in theirs])))
        etag = hashlib.sha512(body).hexdigest()[:64].upper()
        self._made[name, media] = (made_of, body, etag)
        return body, etag


def _path_of(kind: Kind) -> str:
    resource = kind.resource
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def _build(name: str, kinds: tuple[Kind, ...], theirs: Sequence[Mapping[str, Any]]) -> Any:
    all_served = [served(kind) for kind in kinds]
    if name == "v2":
        return merged(openapi.v2(all_served), theirs)
    resource = kinds[0].resource
    return openapi.v3(resource.group, resource.version, all_served)


DEFINITIONS = {
    "Binding": "io.k8s.api.core.v1.Binding",
    "Eviction": "io.k8s.api.policy.v1.Eviction",
    "Scale": "io.k8s.api.autoscaling.v1.Scale",
    "TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}


def served(kind: Kind) -> Served:
    """What the schema engine needs to know to document this kind."""
    resource = kind.resource
    subresources: list[Subresource] = []
    for name in discovery.subresources_of(kind):
        group, version, spoken = discovery.subresource_kind(kind, name)
        subresources.append(
            Subresource(
                name=name,
                verbs=tuple(discovery.verbs_of(kind, name)),
                group=group,
                version=version,
                kind=spoken,
                definition=DEFINITIONS.get(spoken, ""),
            )
        )
    return Served(
        group=resource.group,
        version=resource.version,
        kind=resource.kind,
        plural=resource.plural,
        namespaced=resource.namespaced,
        verbs=kind.verbs,
        definition=kind.definition,
        schema=kind.schema,
        list_kind=kind.list_kind,
        subresources=tuple(subresources),
    )
