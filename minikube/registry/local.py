"""The client protocol in process: no HTTP, no copies. Informers share the cache's own decoded objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic

from minikube.api.autoscaling_v1 import Scale
from minikube.api.core_v1 import Pod
from minikube.api.meta import Object, PartialObject, Resource, T, decode, from_dict, to_dict
from minikube.auth.base import User
from minikube.client.base import Handler, IndexFunction, Informer, ObjectList, PatchType, WatchEvent
from minikube.errors import MethodNotAllowed, NotFound, from_status
from minikube.registry.base import DeleteOptions, ListOptions, Request, Selection, WatchOptions
from minikube.registry.binding import bind
from minikube.registry.cache import Bucket
from minikube.registry.eviction import evict
from minikube.registry.history import Change
from minikube.registry.keys import path_of
from minikube.registry.registry import StoreRegistry
from minikube.registry.scale import replicas_patch, scale_of
from minikube.registry.selection import compile_selection
from minikube.registry.stored import StoredObject
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


class LocalLister(Generic[T]):
    """A view of a bucket of the cache."""

    def __init__(self, bucket: Bucket, informer: LocalInformer[T]) -> None:
        self._bucket = bucket
        self._informer = informer

    def get(self, name: str, namespace: str = "") -> T | None:
        stored = self._bucket.objects.get(path_of(self._bucket.kind.resource, namespace, name))
        if stored is None or not self._informer.selects(stored):
            return None
        return self._informer.typed(stored)

    def list(self, namespace: str = "") -> Sequence[T]:
        informer, wanted = self._informer, namespace or self._informer.namespace
        found = self._bucket.select(wanted) if wanted else list(self._bucket.objects.values())
        return [informer.typed(stored) for stored in found if informer.selects(stored)]

    def by_index(self, index: str, value: str) -> Sequence[T]:
        return list(self._informer.indexed(index, value))


class LocalInformer(Generic[T]):
    """Told by the cache in the same step in which a change becomes visible."""

    def __init__(self, bucket: Bucket, kind: Kind, type: type[T], namespace: str, fields: str) -> None:
        self._bucket = bucket
        self._type = type
        self.namespace = namespace
        self._matches = compile_selection(kind, Selection("", fields))
        self._handlers: list[Handler[T]] = []
        self._functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, dict[str, T]]] = {}
        self.lister = LocalLister(bucket, self)
        self.add_index("owner", _owners)
        bucket.listeners.append(self._on_change)

    async def wait_synced(self) -> None:
        return None

    def add_handler(self, handler: Handler[T]) -> None:
        self._handlers.append(handler)
        for obj in self.lister.list():
            handler(None, obj)

    def add_index(self, name: str, function: IndexFunction) -> None:
        if name in self._functions:
            return
        self._functions[name] = function
        self._indexes[name] = {}
        for obj in self.lister.list():
            self._enter(name, obj)

    def selects(self, stored: StoredObject) -> bool:
        if self.namespace and stored.namespace != self.namespace:
            return False
        return self._matches is None or self._matches(stored)

    def typed(self, stored: StoredObject) -> T:
        if stored.kind.type is self._type:
            typed: T = stored.typed()  # type: ignore[assignment]
            return typed
        return decode(self._type, stored.json(stored.kind))

    def indexed(self, name: str, value: str) -> Sequence[T]:
        return list(self._indexes[name].get(value, {}).values())

    def _on_change(self, change: Change) -> None:
        old = self.typed(change.old) if change.old is not None and self.selects(change.old) else None
        new = self.typed(change.new) if change.new is not None and self.selects(change.new) else None
        if old is None and new is None:
            return
        for name in self._functions:
            if old is not None:
                self._leave(name, old)
            if new is not None:
                self._enter(name, new)
        for handler in self._handlers:
            handler(old, new)

    def _enter(self, name: str, obj: T) -> None:
        for value in self._functions[name](obj):
            self._indexes[name].setdefault(value, {})[obj.metadata.uid] = obj

    def _leave(self, name: str, obj: T) -> None:
        for value in self._functions[name](obj):
            found = self._indexes[name].get(value)
            if found is not None:
                found.pop(obj.metadata.uid, None)
                if not found:
                    del self._indexes[name][value]


class PartialInformer(LocalInformer[PartialObject]):
    """The metadata of a kind's objects, whatever the kind."""

    def typed(self, stored: StoredObject) -> PartialObject:
        return stored.partial()

    def follows(self, bucket: Bucket) -> bool:
        """False when the kind was withdrawn, and perhaps defined anew, since."""
        return self._bucket is bucket


class LocalInformers:
    def __init__(self, registry: StoreRegistry) -> None:
        self._registry = registry
        self._informers: dict[tuple[type, str, str], Any] = {}
        self._partial: dict[tuple[str, str], PartialInformer] = {}

    def of(self, kind: type[T], *, namespace: str = "", fields: str = "") -> Informer[T]:
        key = (kind, namespace, fields)
        found = self._informers.get(key)
        if found is None:
            resource = kind.resource
            served = self._registry.find(resource.group, resource.version, resource.plural)
            assert served is not None, f"{resource.plural} are not served"
            bucket = self._registry.cache.bucket(served)
            found = self._informers[key] = LocalInformer(bucket, served, kind, namespace, fields)
        informer: Informer[T] = found
        return informer

    def partial(self, resource: Resource) -> Informer[PartialObject]:
        served = self._registry.find(resource.group, resource.version, resource.plural)
        if served is None:
            raise NotFound.path()
        bucket = self._registry.cache.bucket(served)
        known = self._partial.get((resource.group, resource.plural))
        if known is None or not known.follows(bucket):
            known = PartialInformer(bucket, served, PartialObject, "", "")
            self._partial[resource.group, resource.plural] = known
        return known

    async def run(self) -> None:
        """The cache calls the informers by itself."""
        await asyncio.Event().wait()


def _owners(obj: Any) -> Sequence[str]:
    return [owner.uid for owner in obj.metadata.owner_references]


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
