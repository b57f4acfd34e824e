"""Who owns whom: a graph of all objects by uid, kept by changes, and what an object's owners come to. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from minikube.api.meta import ObjectMeta, OwnerReference, PartialObject, Resource

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class Item(msgspec.Struct, frozen=True):
    """One object of any kind, as far as owning goes."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    resource_version: str
    owners: tuple[OwnerReference, ...]
    finalizers: tuple[str, ...]
    deleting: bool

    def named(self, owner: OwnerReference) -> bool:
        """Whether this is what the reference means, not only the same uid."""
        group = owner.api_version.rpartition("/")[0]
        return (self.resource.group, self.resource.kind, self.name) == (group, owner.kind, owner.name)

    def blocks(self, owner_uid: str) -> bool:
        return any(owner.uid == owner_uid and owner.block_owner_deletion for owner in self.owners)

    @property
    def in_foreground(self) -> bool:
        return self.deleting and FOREGROUND in self.finalizers

    def as_object(self) -> PartialObject:
        """For events about it."""
        return PartialObject(
            api_version=self.resource.api_version,
            kind=self.resource.kind,
            metadata=ObjectMeta(
                name=self.name, namespace=self.namespace, uid=self.uid, resource_version=self.resource_version
            ),
        )


class Owners(msgspec.Struct, frozen=True):
    """The references of one object: to owners that stay, that are gone, and that wait for their dependents."""

    solid: tuple[OwnerReference, ...]
    dangling: tuple[OwnerReference, ...]
    waiting: tuple[OwnerReference, ...]


class Graph:
    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, set[str]] = {}

    def get(self, uid: str) -> Item | None:
        return self._items.get(uid)

    def dependents(self, uid: str) -> Sequence[Item]:
        found = (self._items.get(one) for one in self._dependents.get(uid, ()))
        return [item for item in found if item is not None]

    def put(self, resource: Resource, obj: PartialObject) -> Collection[str]:
        """Take in an object's present state; the uids that have to be looked at again."""
        meta = obj.metadata
        item = Item(
            resource=resource,
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resource_version=meta.resource_version,
            owners=meta.owner_references,
            finalizers=meta.finalizers,
            deleting=meta.deletion_timestamp is not None,
        )
        known = self._items.get(meta.uid)
        self._items[meta.uid] = item
        if known is not None and _same(known, item):
            return ()
        before = {owner.uid for owner in known.owners} if known is not None else set()
        after = {owner.uid for owner in item.owners}
        for uid in before - after:
            self._leave(uid, item.uid)
        for uid in after - before:
            self._dependents.setdefault(uid, set()).add(item.uid)
        touched = {uid for uid in before | after if self._deleting(uid)}
        if item.owners or item.deleting:
            touched.add(item.uid)
        return touched

    def remove(self, uid: str) -> Collection[str]:
        """The object is gone; the uids that have to be looked at again."""
        item = self._items.pop(uid, None)
        if item is None:
            return ()
        for owner in item.owners:
            self._leave(owner.uid, uid)
        dependents = set(self._dependents.get(uid, ()))
        return dependents | {owner.uid for owner in item.owners if self._deleting(owner.uid)}

    def _deleting(self, uid: str) -> bool:
        item = self._items.get(uid)
        return item is not None and item.deleting

    def _leave(self, owner: str, dependent: str) -> None:
        found = self._dependents.get(owner)
        if found is not None:
            found.discard(dependent)
            if not found:
                del self._dependents[owner]


def classify(graph: Graph, item: Item, gone: Collection[str]) -> Owners:
    """`gone`: uids of owners that do not exist."""
    solid, dangling, waiting = [], [], []
    for owner in item.owners:
        known = graph.get(owner.uid)
        if owner.uid in gone:
            dangling.append(owner)
        elif known is not None and known.in_foreground:
            waiting.append(owner)
        else:
            solid.append(owner)
    return Owners(tuple(solid), tuple(dangling), tuple(waiting))


def _same(one: Item, other: Item) -> bool:
    """Nothing changed that garbage collection looks at."""
    return (one.owners, one.finalizers, one.deleting) == (other.owners, other.finalizers, other.deleting)
