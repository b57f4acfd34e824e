"""Adoption and release: a controller takes in matching orphans and lets go of what no longer matches.

Rules: pkg/controller ControllerRefManager. An object has at most one controlling owner, so two controllers never
fight over one; patches carry the uid, so that a namesake is never taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic

import msgspec

from minikube.api.meta import Key, Object, T
from minikube.api.meta_v1 import LabelSelector
from minikube.api.owners import controller_of, controller_reference
from minikube.api.selectors import matches
from minikube.client.base import Client, Informer, Lister, PatchType
from minikube.controllers.base import Watch
from minikube.errors import Invalid, NotFound

ORPHANS = "orphans"
"""Index of objects without a controller, by namespace."""


class Claims(msgspec.Struct, Generic[T], frozen=True):
    """What is the owner's, what it should take in and what it should let go."""

    kept: tuple[T, ...]
    adopt: tuple[T, ...]
    release: tuple[T, ...]


def plan_claims(
    owner: Object,
    selector: LabelSelector | None,
    owned: Iterable[T],
    orphans: Iterable[T],
    fits: Callable[[T], bool] = lambda obj: True,
) -> Claims[T]:
    """`fits` is one more demand beside the selector (a StatefulSet's pods have names of its own)."""
    going = owner.metadata.deletion_timestamp is not None
    kept, release = [], []
    for obj in owned:
        found = controller_of(obj)
        if found is None or found.uid != owner.metadata.uid:
            continue
        if matches(selector, obj.metadata.labels) and fits(obj):
            kept.append(obj)
        elif not going:
            release.append(obj)
    adopt = [
        obj
        for obj in (() if going else orphans)
        if obj.metadata.deletion_timestamp is None and matches(selector, obj.metadata.labels) and fits(obj)
    ]
    return Claims(tuple(kept), tuple(adopt), tuple(release))


class Claimer(Generic[T]):
    """Carries claims out for objects of one kind. `finalizer` is put on what is adopted and taken from what is
    released."""

    def __init__(self, client: Client, informer: Informer[T], kind: type[T], *, finalizer: str = "") -> None:
        self._client = client
        self._kind = kind
        self._finalizer = finalizer
        self.lister: Lister[T] = informer.lister
        informer.add_index(ORPHANS, _orphaned)

    async def claim(
        self,
        owner: Object,
        selector: LabelSelector | None,
        *,
        fits: Callable[[T], bool] = lambda obj: True,
        counts: Callable[[T], bool] = lambda obj: True,
    ) -> list[T]:
        """The owner's objects after adoption and release; those for which `counts` is false are left alone."""
        owned = filter(counts, self.lister.by_index("owner", owner.metadata.uid))
        orphans = filter(counts, self.lister.by_index(ORPHANS, owner.metadata.namespace))
        todo = plan_claims(owner, selector, owned, orphans, fits)
        for obj in todo.release:
            await self._patch(obj, self._released(owner, obj))
        taken = [obj for obj in todo.adopt if await self._patch(obj, self._adopted(owner, obj))]
        fresh = [self.lister.get(obj.metadata.name, obj.metadata.namespace) for obj in taken]
        return [*todo.kept, *(obj for obj in fresh if obj is not None)]

    def _adopted(self, owner: Object, obj: T) -> dict[str, Any]:
        change: dict[str, Any] = {"ownerReferences": [msgspec.to_builtins(controller_reference(owner))]}
        if self._finalizer:
            change["finalizers"] = [self._finalizer]
        return change

    def _released(self, owner: Object, obj: T) -> dict[str, Any]:
        change: dict[str, Any] = {"ownerReferences": [{"$patch": "delete", "uid": owner.metadata.uid}]}
        if self._finalizer:
            change["$deleteFromPrimitiveList/finalizers"] = [self._finalizer]
        return change

    async def _patch(self, obj: T, change: dict[str, Any]) -> bool:
        """False when the object is gone, or changed so that there is nothing to do (its events come anyway)."""
        meta = obj.metadata
        patch = {"metadata": {**change, "uid": meta.uid}}
        try:
            await self._client.patch(self._kind, meta.name, meta.namespace, patch=patch, type=PatchType.STRATEGIC)
        except (NotFound, Invalid):
            return False
        return True


def owner_or_orphan(
    kind: type[Any], owners: Lister[Any], owner_kind: str, selector: Callable[[Any], LabelSelector]
) -> Watch:
    """A change of `kind` is work for its controlling owner, or, without one, for every owner that would take it."""

    def keys(obj: Object) -> Sequence[Key]:
        found = controller_of(obj)
        namespace = obj.metadata.namespace
        if found is not None:
            return [Key(namespace, found.name)] if found.kind == owner_kind else []
        labels = obj.metadata.labels
        if not labels:
            return []
        return [
            Key(namespace, owner.metadata.name)
            for owner in owners.list(namespace)
            if matches(selector(owner), labels)
        ]

    return Watch(kind, keys)


def _orphaned(obj: Object) -> Sequence[str]:
    return [obj.metadata.namespace] if controller_of(obj) is None else []
