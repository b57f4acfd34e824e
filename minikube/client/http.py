"""The client protocol over HTTPS: JSON in and out, watches as streams of lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from minikube.api.autoscaling_v1 import Scale
from minikube.api.meta import ListMeta, Object, PartialObject, Resource, T, decode, encode
from minikube.client.base import ObjectList, PatchType, WatchEvent
from minikube.client.connection import Connection
from minikube.errors import from_status

PAGE = 500


class _Page(msgspec.Struct):
    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] = []


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


_decode_page = msgspec.json.Decoder(_Page)
_decode_line = msgspec.json.Decoder(_Line)


class HttpClient(Connection):
    """Use as `async with HttpClient(url, context) as client`."""

    # ---- typed objects -------------------------------------------------------------------------------

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        return decode(kind, await self.send("GET", kind.resource.path(namespace, name)))

    async def list(
        self, kind: type[T], namespace: str = "", *, labels: str = "", fields: str = "", resource_version: str = ""
    ) -> ObjectList[T]:
        query = _query(labelSelector=labels, fieldSelector=fields, resourceVersion=resource_version)
        raw, revision = await self._pages(kind.resource.path(namespace), query)
        return ObjectList(tuple([decode(kind, bytes(item)) for item in raw]), revision)

    @asynccontextmanager
    async def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
    ) -> AsyncIterator[AsyncIterator[WatchEvent[T]]]:
        query = _query(labelSelector=labels, fieldSelector=fields, resourceVersion=resource_version)
        query |= {"watch": "1", "allowWatchBookmarks": "true"}
        async with self.lines(kind.resource.path(namespace), query) as lines:
            yield _events(kind, lines)

    async def create(self, obj: T, *, dry_run: bool = False) -> T:
        query = {"dryRun": "All"} if dry_run else {}
        path = obj.resource.path(obj.metadata.namespace)
        return decode(type(obj), await self.send("POST", path, encode(obj), query=query))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        meta = obj.metadata
        path = obj.resource.path(meta.namespace, meta.name, subresource)
        return decode(type(obj), await self.send("PUT", path, encode(obj)))

    async def patch(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        patch: Mapping[str, Any] | Sequence[Any],
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
        force: bool = False,
    ) -> T:
        query = {"force": "true"} if force else {}
        if type is PatchType.APPLY:
            query["fieldManager"] = self._agent
        path = kind.resource.path(namespace, name, subresource)
        body = msgspec.json.encode(patch)
        media = f"application/{type.value}"
        return decode(kind, await self.send("PATCH", path, body, query=query, media=media))

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
    ) -> None:
        options = _delete_options(uid, resource_version, grace_period_seconds, propagation_policy)
        await self.send("DELETE", kind.resource.path(namespace, name), options)

    async def delete_collection(self, kind: type[T], namespace: str = "", *, labels: str = "") -> None:
        await self.send("DELETE", kind.resource.path(namespace), query=_query(labelSelector=labels))

    async def create_subresource(
        self, kind: type[Object], name: str, namespace: str, subresource: str, body: T
    ) -> T:
        path = kind.resource.path(namespace, name, subresource)
        data = await self.send("POST", path, encode(body))
        answer = msgspec.json.decode(data)
        return body if answer.get("kind") == "Status" else decode(type(body), data)

    async def get_scale(self, resource: Resource, name: str, namespace: str = "") -> Scale:
        return decode(Scale, await self.send("GET", resource.path(namespace, name, "scale")))

    async def set_scale(self, resource: Resource, name: str, namespace: str = "", *, replicas: int) -> Scale:
        body = msgspec.json.encode({"spec": {"replicas": replicas}})
        path, media = resource.path(namespace, name, "scale"), f"application/{PatchType.MERGE.value}"
        return decode(Scale, await self.send("PATCH", path, body, media=media))

    # ---- kinds known only at run time ----------------------------------------------------------------

    async def get_partial(self, resource: Resource, name: str, namespace: str = "") -> PartialObject:
        return decode(PartialObject, await self.send("GET", resource.path(namespace, name)))

    async def list_partial(self, resource: Resource, namespace: str = "") -> ObjectList[PartialObject]:
        raw, revision = await self._pages(resource.path(namespace), {})
        return ObjectList(tuple([decode(PartialObject, bytes(item)) for item in raw]), revision)

    async def patch_partial(
        self, resource: Resource, name: str, namespace: str = "", *, patch: Mapping[str, Any]
    ) -> PartialObject:
        media = f"application/{PatchType.MERGE.value}"
        body = msgspec.json.encode(patch)
        return decode(PartialObject, await self.send("PATCH", resource.path(namespace, name), body, media=media))

    async def delete_partial(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        propagation_policy: str = "",
    ) -> None:
        options = _delete_options(uid, resource_version, None, propagation_policy)
        await self.send("DELETE", resource.path(namespace, name), options)

    async def resources(self) -> Sequence[Resource]:
        roots = ["/api/v1"]
        groups = await self.request("GET", "/apis")
        roots += [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups["groups"]]
        found: list[Resource] = []
        for document in await asyncio.gather(*(self.request("GET", root) for root in roots)):
            group, _, version = document["groupVersion"].rpartition("/")
            found += [
                Resource(group, version, entry["kind"], entry["name"], entry["namespaced"])
                for entry in document["resources"]
                if "/" not in entry["name"] and {"list", "delete"} <= set(entry["verbs"])
            ]
        return found

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        data = await self.send(method, path, msgspec.json.encode(body) if body is not None else None)
        return msgspec.json.decode(data)

    # ---- the wire ------------------------------------------------------------------------------------

    async def _pages(self, path: str, query: dict[str, str]) -> tuple[Sequence[msgspec.Raw], str]:
        """Everything, asked for in pages of one snapshot."""
        items: Any = []
        query = {**query, "limit": str(PAGE)}
        while True:
            page = _decode_page.decode(await self.send("GET", path, query=query))
            items += page.items
            if not page.metadata.continue_:
                return items, page.metadata.resource_version
            query = {**query, "continue": page.metadata.continue_}
            query.pop("resourceVersion", None)


async def _events(kind: type[T], lines: AsyncIterator[bytes]) -> AsyncIterator[WatchEvent[T]]:
    """One a line; ends when the server ends the stream."""
    async for line in lines:
        event = _decode_line.decode(line)
        if event.type == "ERROR":
            raise from_status(msgspec.json.decode(event.object))
        yield WatchEvent(event.type, decode(kind, bytes(event.object)))


def _query(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _delete_options(uid: str, resource_version: str, grace: int | None, policy: str) -> bytes:
    preconditions = _query(uid=uid, resourceVersion=resource_version)
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
    if preconditions:
        options["preconditions"] = preconditions
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if policy:
        options["propagationPolicy"] = policy
    return msgspec.json.encode(options)
