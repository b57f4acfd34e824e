"""Which volumes a pod's claims would get on a node: bound ones, free ones that match, or ones to be made. Pure.

Rules: pkg/scheduler/framework/plugins/volumebinding/binder.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from minikube.api import quantity
from minikube.api import volumes as rules
from minikube.api.core_v1 import Node, PersistentVolume, PersistentVolumeClaim
from minikube.api.meta import Key
from minikube.api.selectors import matches
from minikube.api.storage_v1 import CSIDriver, CSIStorageCapacity, StorageClass

NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
FAR = "node(s) didn't match PersistentVolume's node affinity"
NO_SPACE = "node(s) did not have enough free storage"
LOST = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


class Claims(msgspec.Struct, frozen=True):
    """Of one pod: bound ones, and those whose volume is chosen with the node."""

    bound: tuple[PersistentVolumeClaim, ...] = ()
    late: tuple[PersistentVolumeClaim, ...] = ()


class Storage(msgspec.Struct, frozen=True):
    """What there is, and what other pods on their way to a node already have."""

    volumes: Mapping[str, PersistentVolume] = {}
    classes: Mapping[str, StorageClass] = {}
    drivers: Mapping[str, CSIDriver] = {}
    capacities: Sequence[CSIStorageCapacity] = ()
    taken: frozenset[str] = frozenset()
    """Names of volumes."""
    selected: Mapping[Key, str] = {}
    """The node on which a claim's volume is about to be made."""


class Choice(msgspec.Struct, frozen=True):
    """`matched`: (claim, volume); `made`: claims for which a provisioner makes one."""

    matched: tuple[tuple[PersistentVolumeClaim, PersistentVolume], ...] = ()
    made: tuple[PersistentVolumeClaim, ...] = ()


def choose(claims: Claims, node: Node, storage: Storage) -> Choice | str:
    """The reason if the node can't have them; several are separated by newlines."""
    reasons = []
    if why := _bound(claims.bound, node, storage.volumes):
        reasons.append(why)
    found = _late(claims.late, node, storage)
    if isinstance(found, str):
        reasons.append(found)
    return "\n".join(reasons) if reasons or isinstance(found, str) else found


def _bound(claims: Iterable[PersistentVolumeClaim], node: Node, volumes: Mapping[str, PersistentVolume]) -> str:
    for claim in claims:
        volume = volumes.get(claim.spec.volume_name)
        if volume is None:
            return LOST
        if not rules.reachable(volume, node):
            return FAR
    return ""


def _late(claims: Iterable[PersistentVolumeClaim], node: Node, storage: Storage) -> Choice | str:
    """Big claims last: a small one must not take the only volume that would do for a big one."""
    matched: list[tuple[PersistentVolumeClaim, PersistentVolume]] = []
    made: list[PersistentVolumeClaim] = []
    for claim in sorted(claims, key=lambda one: quantity.parse(rules.requested(one))):
        meta = claim.metadata
        selected = storage.selected.get(Key(meta.namespace, meta.name)) or meta.annotations.get(rules.SELECTED_NODE)
        if selected and selected != node.metadata.name:
            return NO_VOLUME
        taken = {*storage.taken, *(volume.metadata.name for _, volume in matched)}
        volume = None
        if not selected:
            volume = rules.best_match(claim, storage.volumes.values(), node=node, waits=True, taken=taken)
        if volume is not None:
            matched.append((claim, volume))
        elif why := _unmakeable(claim, node, storage):
            return why
        else:
            made.append(claim)
    return Choice(tuple(matched), tuple(made))


def _unmakeable(claim: PersistentVolumeClaim, node: Node, storage: Storage) -> str:
    of = storage.classes.get(rules.class_of_claim(claim))
    if of is None or of.provisioner in ("", rules.NO_PROVISIONER):
        return NO_VOLUME
    if not rules.allowed_on(of, node):
        return NO_VOLUME
    driver = storage.drivers.get(of.provisioner)
    if driver is None or not driver.spec.storage_capacity:
        return ""
    wanted = quantity.parse(rules.requested(claim))
    for one in storage.capacities:
        limit = one.maximum_volume_size if one.maximum_volume_size is not None else one.capacity
        fits = one.storage_class_name == of.metadata.name and quantity.parse(limit) >= wanted
        if fits and one.node_topology is not None and matches(one.node_topology, node.metadata.labels):
            return ""
    return NO_SPACE
