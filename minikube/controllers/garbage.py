"""Garbage collection by owner references, over every kind. Rules: pkg/controller/garbagecollector.

An object whose owners are all gone goes too. An owner deleted in the foreground waits for the dependents that
block it; one deleted with `orphan` lets them go first. Driven by one informer a kind; owners are looked up by uid.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from minikube.api.meta import Key, Object, OwnerReference, Resource
from minikube.client.base import Client, Informers
from minikube.errors import ApiError, NotFound
from minikube.kit.backoff import Backoff
from minikube.kit.workqueue import WorkQueue

log = logging.getLogger(__name__)

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class Item(msgspec.Struct, frozen=True):
    """One object of any kind."""

    resource: Resource
    key: Key
    uid: str


class Node(msgspec.Struct):
    """What the graph knows of an object."""

    item: Item
    owners: tuple[OwnerReference, ...]
    deleting: bool
    finalizers: tuple[str, ...]


class GarbageCollector:
    """`kinds` are the types that are followed."""

    def __init__(self, client: Client, informers: Informers, kinds: Sequence[type[Object]]) -> None:
        self._client = client
        self._informers = informers
        self._kinds = kinds
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = {}
        self._queue: WorkQueue[str] = WorkQueue()
        self._backoff: Backoff[str] = Backoff(base=0.02, limit=60)

    async def run(self) -> None:
        """Until cancelled."""
        for kind in self._kinds:
            informer = self._informers.of(kind)
            await informer.wait_synced()
            informer.add_handler(self._on_change)
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(4):
                    tasks.create_task(self._work(), name=f"garbage-collector-{number}")
        finally:
            self._queue.close()

    def _on_change(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        uid = obj.metadata.uid
        known = self._nodes.get(uid)
        for owner in known.owners if known else ():
            self._dependents.get(owner.uid, set()).discard(uid)
        if new is None:
            self._nodes.pop(uid, None)
            for dependent in self._dependents.pop(uid, set()):
                self._queue.add(dependent)
            for owner in obj.metadata.owner_references:
                self._wake(owner.uid)
            return
        meta = new.metadata
        item = Item(new.resource, Key(meta.namespace, meta.name), uid)
        deleting = meta.deletion_timestamp is not None
        self._nodes[uid] = Node(item, meta.owner_references, deleting, meta.finalizers)
        for owner in meta.owner_references:
            self._dependents.setdefault(owner.uid, set()).add(uid)
            self._wake(owner.uid)
        if meta.owner_references or (deleting and {FOREGROUND, ORPHAN} & set(meta.finalizers)):
            self._queue.add(uid)

    def _wake(self, uid: str) -> None:
        node = self._nodes.get(uid)
        if node is not None and node.deleting:
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
        node = self._nodes.get(uid)
        if node is None:
            return
        if node.deleting and ORPHAN in node.finalizers:
            await self._orphan(node)
            return
        if node.deleting and FOREGROUND in node.finalizers:
            await self._foreground(node)
            return
        if not node.owners or node.deleting:
            return
        solid = [owner for owner in node.owners if await self._is_there(owner, node)]
        if not solid:
            await self._delete(node, "Background")
            return
        waiting = [o for o in solid if (known := self._nodes.get(o.uid)) and _in_foreground(known)]
        if len(waiting) == len(solid):
            await self._delete(node, "Foreground" if self._dependents.get(uid) else "Background")
        elif len(solid) < len(node.owners):
            await self._keep_owners(node, solid)

    async def _is_there(self, owner: OwnerReference, node: Node) -> bool:
        """Known by uid, or else asked for by name."""
        if owner.uid in self._nodes:
            return True
        resource = await self._resource_of(owner)
        if resource is None:
            return True
        namespace = node.item.key.namespace if resource.namespaced else ""
        try:
            found = await self._client.get_partial(resource, owner.name, namespace)
        except NotFound:
            return False
        return found.metadata.uid == owner.uid

    async def _resource_of(self, owner: OwnerReference) -> Resource | None:
        for resource in await self._client.resources():
            if (resource.api_version, resource.kind) == (owner.api_version, owner.kind):
                return resource
        return None

    async def _foreground(self, node: Node) -> None:
        blocking = []
        for uid in self._dependents.get(node.item.uid, set()):
            dependent = self._nodes.get(uid)
            if dependent is None:
                continue
            if not dependent.deleting:
                self._queue.add(uid)
            if any(o.uid == node.item.uid and o.block_owner_deletion for o in dependent.owners):
                blocking.append(uid)
        if not blocking:
            await self._drop_finalizer(node, FOREGROUND)

    async def _orphan(self, node: Node) -> None:
        for uid in list(self._dependents.get(node.item.uid, set())):
            dependent = self._nodes.get(uid)
            if dependent is not None:
                await self._keep_owners(dependent, [o for o in dependent.owners if o.uid != node.item.uid])
        await self._drop_finalizer(node, ORPHAN)

    async def _keep_owners(self, node: Node, owners: Sequence[OwnerReference]) -> None:
        kept = [msgspec.to_builtins(owner) for owner in owners]
        patch = {"metadata": {"uid": node.item.uid, "ownerReferences": kept or None}}
        try:
            await self._client.patch_partial(
                node.item.resource, node.item.key.name, node.item.key.namespace, patch=patch
            )
        except NotFound:
            return

    async def _drop_finalizer(self, node: Node, finalizer: str) -> None:
        left = [name for name in node.finalizers if name != finalizer]
        patch = {"metadata": {"uid": node.item.uid, "finalizers": left or None}}
        try:
            await self._client.patch_partial(
                node.item.resource, node.item.key.name, node.item.key.namespace, patch=patch
            )
        except NotFound:
            return

    async def _delete(self, node: Node, policy: str) -> None:
        item = node.item
        try:
            await self._client.delete_partial(
                item.resource, item.key.name, item.key.namespace, uid=item.uid, propagation_policy=policy
            )
        except NotFound:
            return


def _in_foreground(node: Node) -> bool:
    return node.deleting and FOREGROUND in node.finalizers
