"""The registry over a Store: the concrete `Registry`, composed of reading, writing and the cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from minikube.admission.chain import Chain
from minikube.api.meta import Resource
from minikube.auth.base import User
from minikube.client.base import PatchType
from minikube.errors import NotFound
from minikube.kit.clock import SYSTEM, Clock
from minikube.kit.tasks import guard
from minikube.registry.allocate import Allocator
from minikube.registry.base import (
    Alter,
    Change,
    DeleteOptions,
    Listing,
    ListOptions,
    Request,
    Selection,
    WatchOptions,
    Written,
)
from minikube.registry.cache import Cache
from minikube.registry.conversion import Converting
from minikube.registry.reading import Reading
from minikube.registry.shape import shape_of
from minikube.registry.stored import StoredObject
from minikube.registry.writing import Writing
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.schema.structure import Structure
from minikube.settings import Settings
from minikube.store.base import Durability, Store
from minikube.store.errors import StoreError

EXPIRY_SECONDS = 60.0
COMPACTION_SECONDS = 300.0
Serve = Callable[[str, str, Obj], Awaitable[Obj]]
"""(namespace, name, body) -> answer."""
Raw = Callable[[str, str, Any, User], Awaitable[Any]]
"""(method, path with query, body, who asks) -> answer; raises ApiError."""


class StoreRegistry:
    """`await start()`, then `run()` in a task; `use_admission` may come between the two."""

    def __init__(
        self,
        store: Store,
        kinds: Sequence[Kind],
        *,
        settings: Settings,
        clock: Clock = SYSTEM,
    ) -> None:
        self.cache = Cache()
        self.subresources: dict[tuple[str, str], Serve] = {}
        """(plural, subresource) -> what answers it for clients in process; ("…reviews", "") for a review itself."""
        self.raw: Raw | None = None
        """Answers raw requests of clients in process: for APIs that are no kinds of this registry."""
        self._store = store
        self._clock = self.clock = clock
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        self._allocator = Allocator(settings.service_cidr, settings.service_node_port_range)
        self.converting = Converting()
        self._reading = Reading(self.cache, self.converting)
        self.use_admission(Chain())
        for kind in kinds:
            self.serve(kind)

    def serve(self, kind: Kind) -> None:
        """Also serve this kind from now on."""
        resource = kind.resource
        self._kinds[resource.group, resource.version, resource.plural] = kind
        if kind.stored_as is None and "list" in kind.verbs:
            self.cache.add_kind(kind)

    def withdraw(self, kind: Kind) -> None:
        """Serve it no longer; the cache keeps what is stored."""
        resource = kind.resource
        self._kinds.pop((resource.group, resource.version, resource.plural), None)

    def use_admission(self, chain: Chain) -> None:
        self.admission = chain
        self._writing = Writing(self._store, self.cache, chain, self._allocator, self._clock, self.converting)

    async def start(self) -> None:
        await self.cache.start(self._store)
        services = self._kinds.get(("", "v1", "services"))
        if services is not None:
            for stored in self.cache.bucket(services).objects.values():
                self._allocator.restore(stored.tree(services))

    async def caught_up(self) -> None:
        """Returns once the cache shows everything that the store has; raises what is wrong with the store."""
        await self.cache.reached(await self._store.current_revision())

    async def run(self) -> None:
        """Follow the store and expire what has a time to live, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.cache.run(), name="watch-cache")
            tasks.create_task(guard("expiry", self._expire), name="expiry")
            tasks.create_task(guard("compaction", self._compact), name="compaction")

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def kinds(self) -> Sequence[Kind]:
        return list(self._kinds.values())

    def others(self, resource: Resource) -> Sequence[Resource]:
        """The other versions that a custom resource is served in."""
        kind = self._kinds.get((resource.group, resource.version, resource.plural))
        if kind is None or kind.schema is None:
            return ()
        others = (each.resource for each in self._kinds.values())
        return [
            each
            for each in others
            if (each.group, each.plural) == (resource.group, resource.plural) and each.version != resource.version
        ]

    async def convert(self, tree: ReadOnlyObj, own: Resource, wanted: Resource) -> Obj:
        """A custom object of `own` as the version `wanted` shows it. Raises ConversionFailed."""
        kind = self._kinds.get((own.group, own.version, own.plural))
        if kind is None or kind.conversion is None:
            return {**tree, "apiVersion": wanted.api_version}
        return await self.converting.convert(kind.conversion, tree, wanted.api_version)

    def structure_of(self, resource: Resource) -> Structure | None:
        """How its objects are built; None if it is not served."""
        kind = self._kinds.get((resource.group, resource.version, resource.plural))
        return shape_of(kind).structure if kind is not None else None

    def object_counts(self) -> Iterable[tuple[str, str, int]]:
        for kind in self._kinds.values():
            if kind.stored_as is None and "list" in kind.verbs:
                yield kind.resource.group, kind.resource.plural, len(self.cache.bucket(kind).objects)

    async def get(self, kind: Kind, namespace: str, name: str, *, resource_version: str = "") -> StoredObject:
        return await self._reading.get(kind, namespace, name, resource_version=resource_version)

    async def list(self, kind: Kind, namespace: str, selection: Selection, options: ListOptions) -> Listing:
        return await self._reading.list(kind, namespace, selection, options)

    def watch(
        self, kind: Kind, namespace: str, selection: Selection, options: WatchOptions
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Change]]]:
        return self._reading.watch(kind, namespace, selection, options)

    async def create(
        self, kind: Kind, namespace: str, obj: Obj, request: Request, *, name: str = ""
    ) -> StoredObject:
        return await self._writing.create(kind, namespace, obj, request, name=name)

    async def update(
        self, kind: Kind, namespace: str, name: str, obj: Obj, request: Request, *, subresource: str = ""
    ) -> Written:
        return await self._writing.update(kind, namespace, name, obj, request, subresource=subresource)

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        type: PatchType,
        request: Request,
        *,
        subresource: str = "",
    ) -> Written:
        return await self._writing.patch(kind, namespace, name, patch, type, request, subresource=subresource)

    async def change(
        self, kind: Kind, namespace: str, name: str, change: Alter, request: Request, subresource: str
    ) -> Written:
        return await self._writing.change(kind, namespace, name, change, request, subresource)

    async def delete(
        self, kind: Kind, namespace: str, name: str, options: DeleteOptions, request: Request
    ) -> tuple[StoredObject, bool]:
        return await self._writing.delete(kind, namespace, name, options, request)

    async def delete_collection(
        self, kind: Kind, namespace: str, selection: Selection, options: DeleteOptions, request: Request
    ) -> Listing:
        """Deletes what it lists, one by one; what is gone meanwhile is no error."""
        found = await self.list(kind, namespace, selection, ListOptions())
        deleted = []
        for stored in found.items:
            try:
                gone, _ = await self.delete(kind, stored.namespace, stored.name, options, request)
            except NotFound:
                continue
            deleted.append(gone)
        return Listing(deleted, self.cache.revision)

    async def _expire(self) -> None:
        """Events go after their time; looked at once a minute while there are any."""
        while True:
            await self._clock.sleep(EXPIRY_SECONDS)
            now = self._clock.now()
            for kind in [kind for kind in self._kinds.values() if kind.events_ttl and kind.stored_as is None]:
                for stored in list(self.cache.bucket(kind).objects.values()):
                    if _older(stored, now, kind.events_ttl):
                        await self._forget(stored)

    async def _compact(self) -> None:
        """Continue tokens live 5 to 10 minutes, as under etcd's compaction by kube-apiserver."""
        while True:
            revision = self.cache.revision
            await self._clock.sleep(COMPACTION_SECONDS)
            self.cache.compact(revision)

    async def _forget(self, stored: StoredObject) -> None:
        try:
            await self._store.delete(stored.key, expect=stored.revision, durability=Durability.BEHIND)
        except StoreError:
            return


def _older(stored: StoredObject, now: datetime, seconds: float) -> bool:
    typed: Any = stored.typed()
    at = getattr(typed, "last_timestamp", None) or typed.metadata.creation_timestamp
    return at is not None and (now - at).total_seconds() > seconds
