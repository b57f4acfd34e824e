"""VolumeBinding: a pod goes where its volumes are, can be found or can be made, and waits until they are bound."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from msgspec.structs import replace

from minikube.api import volumes as rules
from minikube.api.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod
from minikube.api.meta import Key, Object, key_of, replace_meta
from minikube.api.storage_v1 import CSIDriver, CSIStorageCapacity, StorageClass
from minikube.client.base import Lister
from minikube.errors import ApiError
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, Handle, NodeInfo, Reject
from minikube.scheduler.plugins.volume_choice import Choice, Claims, Storage, choose

BIND_SECONDS = 600.0
"""VolumeBindingArgs.bindTimeoutSeconds."""
IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"


def missing(pod: Pod, claims: Lister[PersistentVolumeClaim]) -> str:
    """Why a claim that the pod names can't be used; empty if all can."""
    for volume in pod.spec.volumes:
        name = rules.claim_name(pod, volume)
        if not name:
            continue
        claim = claims.get(name, pod.metadata.namespace)
        if claim is None:
            if volume.ephemeral is not None:
                return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
            return f'persistentvolumeclaim "{name}" not found'
        if claim.status.phase == "Lost":
            gone = claim.spec.volume_name
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{gone}"'
        if claim.metadata.deletion_timestamp is not None:
            return f'persistentvolumeclaim "{name}" is being deleted'
        if volume.ephemeral is not None and (why := rules.foreign_claim(pod, claim)):
            return why
    return ""


def uses(pod: Pod, old: Object | None, new: Object | None) -> bool:
    """The changed claim is one of the pod's."""
    claim = new or old
    return (
        claim is not None
        and claim.metadata.namespace == pod.metadata.namespace
        and claim.metadata.name in rules.claim_names(pod)
    )


def with_claims(pod: Pod, old: Object | None, new: Object | None) -> bool:
    return bool(rules.claim_names(pod))


class VolumeBinding:
    """Keeps what it chose for pods that are on their way to a node, so that no other pod gets it too."""

    name: ClassVar[str] = "VolumeBinding"
    reads: ClassVar[tuple[type[Object], ...]] = (
        PersistentVolumeClaim,
        PersistentVolume,
        StorageClass,
        CSIDriver,
        CSIStorageCapacity,
    )

    def __init__(self) -> None:
        self._chosen: dict[str, tuple[str, Choice]] = {}
        self._waiting: dict[Key, asyncio.Event] = {}
        self._listening = False

    def events(self) -> Iterable[ClusterEvent]:
        return (
            ClusterEvent(PersistentVolumeClaim, uses),
            *(ClusterEvent(kind, with_claims) for kind in self.reads if kind is not PersistentVolumeClaim),
        )

    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None:
        names = rules.claim_names(pod)
        if not names:
            return None
        claims: Lister[PersistentVolumeClaim] = cycle.listers[PersistentVolumeClaim]
        if why := missing(pod, claims):
            return Reject(why, Code.UNRESOLVABLE)
        bound, late = [], []
        for name in dict.fromkeys(names):
            claim = claims.get(name, pod.metadata.namespace)
            assert claim is not None
            of = cycle.listers[StorageClass].get(rules.class_of_claim(claim))
            if rules.fully_bound(claim):
                bound.append(claim)
            elif rules.waits_for_consumer(of) and not claim.spec.volume_name:
                late.append(claim)
            else:
                return Reject(IMMEDIATE, Code.UNRESOLVABLE)
        cycle.state[self.name] = Claims(tuple(bound), tuple(late)), self._storage(cycle, pod)
        return None

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        found = self._choose(cycle, node)
        return Reject(found, Code.UNRESOLVABLE) if isinstance(found, str) else None

    def reserve(self, cycle: Cycle, pod: Pod, node: str) -> Reject | None:
        [info] = [one for one in cycle.nodes if one.name == node]
        found = self._choose(cycle, info)
        if isinstance(found, str):
            return Reject(found, Code.UNRESOLVABLE)
        if found is not None and (found.matched or found.made):
            self._chosen[pod.metadata.uid] = node, found
        return None

    def unreserve(self, cycle: Cycle, pod: Pod, node: str) -> None:
        self._chosen.pop(pod.metadata.uid, None)

    def _choose(self, cycle: Cycle, node: NodeInfo) -> Choice | str | None:
        """None: the pod has no claims."""
        state = cycle.state.get(self.name)
        return choose(state[0], node.node, state[1]) if state is not None else None

    def _storage(self, cycle: Cycle, pod: Pod) -> Storage:
        others = [chosen for uid, chosen in self._chosen.items() if uid != pod.metadata.uid]
        return Storage(
            volumes={one.metadata.name: one for one in cycle.listers[PersistentVolume].list()},
            classes={one.metadata.name: one for one in cycle.listers[StorageClass].list()},
            drivers={one.metadata.name: one for one in cycle.listers[CSIDriver].list()},
            capacities=cycle.listers[CSIStorageCapacity].list(),
            taken=frozenset(volume.metadata.name for _, choice in others for _, volume in choice.matched),
            selected={key_of(claim): node for node, choice in others for claim in choice.made},
        )

    # ---- binding -------------------------------------------------------------------------------------

    async def pre_bind(self, handle: Handle, cycle: Cycle, pod: Pod, node: str) -> None:
        """Say what was chosen, then wait for the binder (and a provisioner). Raises ApiError or TimeoutError."""
        chosen = self._chosen.get(pod.metadata.uid)
        if chosen is None:
            return
        _, choice = chosen
        for claim, volume in choice.matched:
            await handle.client.update(reserved(volume, claim))
        for claim in choice.made:
            if claim.metadata.annotations.get(rules.SELECTED_NODE) != node:
                patch = {"metadata": {"uid": claim.metadata.uid, "annotations": {rules.SELECTED_NODE: node}}}
                meta = claim.metadata
                await handle.client.patch(PersistentVolumeClaim, meta.name, meta.namespace, patch=patch)
        async with asyncio.timeout(BIND_SECONDS):
            for claim in (*(claim for claim, _ in choice.matched), *choice.made):
                await self._bound(handle, claim, node, made=claim in choice.made)
        self._chosen.pop(pod.metadata.uid, None)

    async def _bound(self, handle: Handle, claim: PersistentVolumeClaim, node: str, *, made: bool) -> None:
        """Until the claim is bound. Raises ApiError when that can't come any more."""
        key, informer = key_of(claim), handle.informers.of(PersistentVolumeClaim)
        if not self._listening:
            informer.add_handler(self._changed)
            self._listening = True
        changed = self._waiting.setdefault(key, asyncio.Event())
        try:
            while True:
                changed.clear()
                found = informer.lister.get(key.name, key.namespace)
                if found is None or found.metadata.uid != claim.metadata.uid:
                    raise ApiError(f'binding volumes: pvc "{key}" was deleted')
                if rules.fully_bound(found):
                    return
                if made and found.metadata.annotations.get(rules.SELECTED_NODE) != node:
                    raise ApiError(f'binding volumes: selectedNode annotation reset for PVC "{key.name}"')
                await changed.wait()
        finally:
            self._waiting.pop(key, None)

    def _changed(self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> None:
        claim = new or old
        if claim is not None and (waiting := self._waiting.get(key_of(claim))) is not None:
            waiting.set()


def reserved(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
    """The volume, pointing to the claim; the binder does the rest."""
    if rules.points_to(volume, claim) and volume.spec.claim_ref and volume.spec.claim_ref.uid:
        return volume
    notes = dict(volume.metadata.annotations)
    if volume.spec.claim_ref is None:
        notes[rules.BOUND_BY_CONTROLLER] = "yes"
    spec = replace(volume.spec, claim_ref=rules.reference_to(claim))
    return replace(replace_meta(volume, annotations=notes), spec=spec)
