"""Informers in process: told by the cache in the step in which a change becomes visible, sharing its objects."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Generic

from minikube.api.meta import PartialObject, Resource, T, decode
from minikube.client.base import Handler, IndexFunction, Informer
from minikube.errors import NotFound
from minikube.registry.base import Selection
from minikube.registry.cache import Bucket
from minikube.registry.history import Change
from minikube.registry.keys import path_of
from minikube.registry.registry import StoreRegistry
from minikube.registry.selection import compile_selection
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind


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
