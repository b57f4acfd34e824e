"""Garbage collection by owner references, over every kind. Rules: pkg/controller/garbagecollector.

An object whose owners are all gone goes too. An owner deleted in the foreground waits for the dependents that
block it; one deleted with `orphan` lets them go first. `garbage_graph` knows who owns whom.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from minikube.api.meta import OwnerReference, PartialObject, Resource
from minikube.client.base import Client, PartialInformers
from minikube.client.events import EventRecorder
from minikube.controllers.following import Following
from minikube.controllers.garbage_graph import FOREGROUND, ORPHAN, Graph, Item, classify
from minikube.errors import ApiError, NotFound
from minikube.kit.backoff import Backoff
from minikube.kit.workqueue import WorkQueue

log = logging.getLogger(__name__)


class GarbageCollector:
    def __init__(self, client: Client, informers: PartialInformers, events: EventRecorder) -> None:
        self._client = client
        self._events = events
        self._following = Following(client, informers, self._on_change)
        self._graph = Graph()
        self._queue: WorkQueue[str] = WorkQueue()
        self._backoff: Backoff[str] = Backoff(base=0.02, limit=60)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._following.run(), name="garbage-collector following")
                for number in range(4):
                    tasks.create_task(self._work(), name=f"garbage-collector-{number}")
        finally:
            self._queue.close()

    def _on_change(self, resource: Resource, old: PartialObject | None, new: PartialObject | None) -> None:
        if new is not None:
            touched = self._graph.put(resource, new)
        else:
            assert old is not None
            touched = self._graph.remove(old.metadata.uid)
        for uid in touched:
            self._queue.add(uid)

    async def _work(self) -> None:
        while True:
            uid = await self._queue.get()
            try:
                await self._attempt(uid)
            except ApiError as error:
                log.debug("garbage collection of %s: %s", uid, error)
                self._queue.add_after(uid, self._backoff.next(uid))
            except Exception:
                log.exception("garbage collection of %s failed", uid)
                self._queue.add_after(uid, self._backoff.next(uid))
            else:
                self._backoff.forget(uid)
            finally:
                self._queue.done(uid)

    async def _attempt(self, uid: str) -> None:
        item = self._graph.get(uid)
        if item is None:
            return
        if item.deleting:
            if ORPHAN in item.finalizers:
                await self._orphan(item)
            elif FOREGROUND in item.finalizers:
                await self._foreground(item)
            return
        if item.owners:
            await self._judge(item)

    async def _judge(self, item: Item) -> None:
        """Whether it still has an owner; attemptToDeleteItem."""
        gone = {owner.uid for owner in item.owners if not await self._exists(owner, item)}
        found = classify(self._graph, item, gone)
        if found.solid:
            if found.dangling or found.waiting:
                await self._set_owners(item, found.solid)
            return
        dependents = self._graph.dependents(item.uid)
        if found.waiting and dependents:
            if any(one.deleting and FOREGROUND in one.finalizers for one in dependents):
                # A dependent waits for its dependents too: nothing here blocks, or a circle would block itself.
                item = await self._unblock(item)
            await self._delete(item, "Foreground")
        elif ORPHAN in item.finalizers:
            await self._delete(item, "Orphan")
        elif FOREGROUND in item.finalizers:
            await self._delete(item, "Foreground")
        else:
            await self._delete(item, "Background")

    async def _exists(self, owner: OwnerReference, item: Item) -> bool:
        """Known to the graph under that name, or else asked for: an owner is in the same namespace or in none."""
        known = self._graph.get(owner.uid)
        if known is not None and known.named(owner) and known.namespace in ("", item.namespace):
            return True
        resource = await self._resource_of(owner)
        if resource is None:
            return True
        if resource.namespaced and not item.namespace:
            self._invalid(owner, item)
            return True
        namespace = item.namespace if resource.namespaced else ""
        try:
            found = await self._client.get_partial(resource, owner.name, namespace)
        except NotFound:
            if known is not None:
                self._invalid(owner, item)
            return False
        return found.metadata.uid == owner.uid

    def _invalid(self, owner: OwnerReference, item: Item) -> None:
        where = f' in namespace "{item.namespace}"' if item.namespace else ""
        told = (
            f"{owner.api_version}/{owner.kind}, namespace: {item.namespace}, name: {owner.name}, uid: {owner.uid}"
        )
        message = f"ownerRef [{told}] does not exist{where}"
        self._events.warning(item.as_object(), "OwnerRefInvalidNamespace", message)

    async def _resource_of(self, owner: OwnerReference) -> Resource | None:
        group = owner.api_version.rpartition("/")[0]
        for resource in await self._client.resources():
            if (resource.group, resource.kind) == (group, owner.kind):
                return resource
        return None

    async def _foreground(self, item: Item) -> None:
        """The finalizer goes when no dependent blocks any more; those that do are looked at."""
        blocking = [one for one in self._graph.dependents(item.uid) if one.blocks(item.uid)]
        if not blocking:
            await self._drop_finalizer(item, FOREGROUND)
        for one in blocking:
            if not one.deleting:
                self._queue.add(one.uid)

    async def _orphan(self, item: Item) -> None:
        for one in self._graph.dependents(item.uid):
            await self._set_owners(one, [owner for owner in one.owners if owner.uid != item.uid])
        await self._drop_finalizer(item, ORPHAN)

    async def _unblock(self, item: Item) -> Item:
        owners = [msgspec.structs.replace(owner, block_owner_deletion=False) for owner in item.owners]
        await self._set_owners(item, owners)
        return self._graph.get(item.uid) or item

    async def _set_owners(self, item: Item, owners: Sequence[OwnerReference]) -> None:
        kept = [msgspec.to_builtins(owner) for owner in owners]
        await self._patch(item, {"ownerReferences": kept or None})

    async def _drop_finalizer(self, item: Item, finalizer: str) -> None:
        left = [name for name in item.finalizers if name != finalizer]
        await self._patch(item, {"finalizers": left or None})

    async def _patch(self, item: Item, change: dict[str, Any]) -> None:
        """Of exactly this state: somebody else's change since raises Conflict, and it is judged again."""
        metadata = {**change, "uid": item.uid, "resourceVersion": item.resource_version}
        try:
            await self._client.patch_partial(item.resource, item.name, item.namespace, patch={"metadata": metadata})
        except NotFound:
            return

    async def _delete(self, item: Item, policy: str) -> None:
        try:
            await self._client.delete_partial(
                item.resource,
                item.name,
                item.namespace,
                uid=item.uid,
                resource_version=item.resource_version,
                propagation_policy=policy,
            )
        except NotFound:
            return
