"""The client protocol in process: no HTTP, no copies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from minikube.api.autoscaling_v1 import Scale
from minikube.api.core_v1 import Pod
from minikube.api.meta import Object, PartialObject, Resource, T, decode, from_dict, to_dict
from minikube.auth.base import User
from minikube.client.base import ObjectList, PatchType, WatchEvent
from minikube.errors import MethodNotAllowed, NotFound, from_status
from minikube.registry.base import DeleteOptions, ListOptions, Request, Selection, WatchOptions
from minikube.registry.binding import bind
from minikube.registry.eviction import evict
from minikube.registry.registry import StoreRegistry
from minikube.registry.scale import replicas_patch, scale_of
from minikube.resources.base import Kind


class LocalClient:
    """Writes as `user`; `field_manager` is what managedFields will show."""

    def __init__(self, registry: StoreRegistry, user: User, field_manager: str) -> None:
        self._registry = registry
        self._user = user
        self._manager = field_manager

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        found = await self._registry.get(self._kind(kind.resource), namespace, name)
        return self._typed(kind, found)

    async def list(
        self, kind: type[T], namespace: str = "", *, labels: str = "", fields: str = "", resource_version: str = ""
    ) -> ObjectList[T]:
        served = self._kind(kind.resource)
        found = await self._registry.list(
            served, namespace, Selection(labels, fields), ListOptions(resource_version=resource_version)
        )
        items = tuple(self._typed(kind, stored) for stored in found.items)
        return ObjectList(items, str(found.revision), found.continue_)

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
        served = self._kind(kind.resource)
        options = WatchOptions(resource_version=resource_version)
        watching = self._registry.watch(served, namespace, Selection(labels, fields), options)

        async def events(batches: Any) -> AsyncIterator[WatchEvent[T]]:
            async for batch in batches:
                for change in batch:
                    if change.type == "ERROR":
                        raise from_status(change.status or {})
                    if change.object is not None:
                        yield WatchEvent(change.type, self._typed(kind, change.object))

        async with watching as batches:
            yield events(batches)

    async def create(self, obj: T, *, dry_run: bool = False) -> T:
        kind = type(obj)
        review = self._registry.subresources.get((kind.resource.plural, ""))
        if review is not None:
            return from_dict(kind, await review(obj.metadata.namespace, "", to_dict(obj)))
        served = self._kind(kind.resource)
        stored = await self._registry.create(
            served, obj.metadata.namespace, to_dict(obj), self._request(dry_run=dry_run)
        )
        return self._typed(kind, stored)

    async def update(self, obj: T, *, subresource: str = "") -> T:
        kind = type(obj)
        served = self._kind(kind.resource)
        meta = obj.metadata
        written = await self._registry.update(
            served, meta.namespace, meta.name, to_dict(obj), self._request(), subresource=subresource
        )
        return self._typed(kind, written.object)

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
        served = self._kind(kind.resource)
        body = dict(patch) if isinstance(patch, Mapping) else list(patch)
        written = await self._registry.patch(
            served, namespace, name, body, type, self._request(force=force), subresource=subresource
        )
        return self._typed(kind, written.object)

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
        options = _options(uid, resource_version, grace_period_seconds, propagation_policy)
        await self._registry.delete(self._kind(kind.resource), namespace, name, options, self._request())

    async def delete_collection(self, kind: type[T], namespace: str = "", *, labels: str = "") -> None:
        await self._registry.delete_collection(
            self._kind(kind.resource), namespace, Selection(labels), DeleteOptions(), self._request()
        )

    async def create_subresource(
        self, kind: type[Object], name: str, namespace: str, subresource: str, body: T
    ) -> T:
        if kind is Pod and subresource == "binding":
            await bind(self._registry, namespace, name, to_dict(body), self._request())
            return body
        if kind is Pod and subresource == "eviction":
            await evict(self._registry, namespace, name, to_dict(body), self._request())
            return body
        serve = self._registry.subresources.get((kind.resource.plural, subresource))
        if serve is not None:
            return from_dict(type(body), await serve(namespace, name, to_dict(body)))
        raise MethodNotAllowed(f"{kind.__name__}/{subresource} is not served in process")

    async def get_scale(self, resource: Resource, name: str, namespace: str = "") -> Scale:
        kind = self._scalable(resource)
        found = await self._registry.get(kind, namespace, name)
        return from_dict(Scale, scale_of(kind, found.tree(kind)))

    async def set_scale(self, resource: Resource, name: str, namespace: str = "", *, replicas: int) -> Scale:
        kind = self._scalable(resource)
        patch = replicas_patch(kind, replicas)
        written = await self._registry.patch(
            kind, namespace, name, patch, PatchType.MERGE, self._request(), subresource="scale"
        )
        return from_dict(Scale, scale_of(kind, written.object.tree(kind)))

    async def get_partial(self, resource: Resource, name: str, namespace: str = "") -> PartialObject:
        found = await self._registry.get(self._kind(resource), namespace, name)
        return _partial(found)

    async def list_partial(self, resource: Resource, namespace: str = "") -> ObjectList[PartialObject]:
        found = await self._registry.list(self._kind(resource), namespace, Selection(), ListOptions())
        items = tuple(_partial(stored) for stored in found.items)
        return ObjectList(items, str(found.revision))

    async def patch_partial(
        self, resource: Resource, name: str, namespace: str = "", *, patch: Mapping[str, Any]
    ) -> PartialObject:
        written = await self._registry.patch(
            self._kind(resource), namespace, name, dict(patch), PatchType.MERGE, self._request()
        )
        return _partial(written.object)

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
        options = _options(uid, resource_version, None, propagation_policy)
        await self._registry.delete(self._kind(resource), namespace, name, options, self._request())

    async def resources(self) -> Sequence[Resource]:
        return [
            kind.resource
            for kind in self._registry.kinds()
            if kind.stored_as is None and {"list", "delete"} <= set(kind.verbs)
        ]

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        if self._registry.raw is None:
            raise NotFound.path()
        return await self._registry.raw(method, path, body, self._user)

    def _kind(self, resource: Resource) -> Kind:
        found = self._registry.find(resource.group, resource.version, resource.plural)
        if found is None:
            raise NotFound.path()
        return found

    def _scalable(self, resource: Resource) -> Kind:
        kind = self._kind(resource)
        if kind.scale is None:
            raise NotFound.path()
        return kind

    def _typed(self, kind: type[T], stored: Any) -> T:
        served = self._kind(kind.resource)
        if served.stored_as is None and stored.kind.type is kind:
            typed: T = stored.typed()
            return typed
        return decode(kind, stored.json(served))

    def _request(self, *, dry_run: bool = False, force: bool = False) -> Request:
        return Request(user=self._user, dry_run=dry_run, field_manager=self._manager, force=force, warned=False)


def _partial(stored: Any) -> PartialObject:
    found: PartialObject = stored.partial()
    return found


def _options(uid: str, resource_version: str, grace: int | None, policy: str) -> DeleteOptions:
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    return DeleteOptions(
        grace_period_seconds=grace,
        propagation_policy=policy or None,
        preconditions={name: value for name, value in preconditions.items() if value},
    )
