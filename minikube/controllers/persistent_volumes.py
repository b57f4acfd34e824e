"""The persistent volume binder: claims find volumes, get them provisioned, and volumes are reclaimed.

Rules: pkg/controller/volume/persistentvolume.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec.structs import replace

from minikube.api import volumes as rules
from minikube.api.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod
from minikube.api.meta import Key, key_of, replace_meta
from minikube.api.storage_v1 import StorageClass
from minikube.controllers.base import After, Context, Watch
from minikube.controllers.claim_protection import claims_of
from minikube.controllers.volume_binding import (
    Bind,
    Leave,
    Lose,
    Provision,
    Reclaim,
    Show,
    Unbind,
    Wait,
    decide_claim,
    decide_volume,
)

UNRECLAIMABLE = {
    "Delete": ("VolumeFailedDelete", 'error getting deleter volume plugin for volume "{}": no deletable volume '
               "plugin matched"),
    "Recycle": ("VolumeFailedRecycle", "No recycler plugin found for the volume!"),
}  # fmt: skip


class PersistentVolumeBinder:
    """A key with a namespace is a claim, one without a volume."""

    name: ClassVar[str] = "persistent-volume-binder"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._client, self._events = context.client, context.events
        self._volumes = context.informers.of(PersistentVolume).lister
        self._claims = context.informers.of(PersistentVolumeClaim).lister
        self._classes = context.informers.of(StorageClass).lister
        pods = context.informers.of(Pod)
        pods.add_index("claims", claims_of)
        self._pods = pods.lister
        self.watches = (
            Watch(PersistentVolume, self._of_volume),
            Watch(PersistentVolumeClaim, self._of_claim),
            Watch(StorageClass, self._of_class),
        )

    def _of_volume(self, volume: PersistentVolume) -> Iterable[Key]:
        """Itself, its claim, and whoever waits for such a volume."""
        yield key_of(volume)
        reference = volume.spec.claim_ref
        if reference is not None:
            yield Key(reference.namespace, reference.name)
        else:
            yield from self._pending(rules.class_of_volume(volume))
        for claim in self._claims.list():
            if claim.spec.volume_name == volume.metadata.name:
                yield key_of(claim)

    def _of_claim(self, claim: PersistentVolumeClaim) -> Iterable[Key]:
        yield key_of(claim)
        if claim.spec.volume_name:
            yield Key("", claim.spec.volume_name)
        for volume in self._volumes.list():
            reference = volume.spec.claim_ref
            if reference is not None and (reference.namespace, reference.name) == (
                claim.metadata.namespace,
                claim.metadata.name,
            ):
                yield key_of(volume)

    def _of_class(self, of: StorageClass) -> Iterable[Key]:
        yield from self._pending(of.metadata.name)
        if rules.is_default(of):
            yield from self._pending("")

    def _pending(self, name: str) -> Iterable[Key]:
        for claim in self._claims.list():
            if not rules.fully_bound(claim) and rules.class_of_claim(claim) == name:
                yield key_of(claim)

    async def reconcile(self, key: Key) -> After | None:
        if key.namespace:
            claim = self._claims.get(key.name, key.namespace)
            if claim is not None:
                await self._claim(claim)
        else:
            volume = self._volumes.get(key.name)
            if volume is not None:
                await self._volume(volume)
        return None

    # ---- claims --------------------------------------------------------------------------------------

    async def _claim(self, claim: PersistentVolumeClaim) -> None:
        claim = await self._with_default_class(claim)
        volumes = {volume.metadata.name: volume for volume in self._volumes.list()}
        classes = {of.metadata.name: of for of in self._classes.list()}
        todo = decide_claim(claim, volumes, classes, self._consumers(claim))
        if isinstance(todo, Bind):
            await self._bind(todo.volume, claim)
        elif isinstance(todo, Lose):
            if claim.status.phase != "Lost":
                await self._claim_status(claim, phase="Lost")
                self._events.warning(claim, todo.reason, todo.message)
        elif isinstance(todo, Provision):
            await self._ask_for_volume(claim, todo.provisioner)
        elif isinstance(todo, Wait):
            await self._claim_status(claim, phase="Pending")
            if todo.reason:
                tell = self._events.warning if todo.warning else self._events.normal
                tell(claim, todo.reason, todo.message)

    def _consumers(self, claim: PersistentVolumeClaim) -> list[str]:
        using = self._pods.by_index("claims", str(key_of(claim)))
        return [pod.metadata.name for pod in using if not pod.spec.node_name]

    async def _with_default_class(self, claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
        """A claim from before there was a default class gets it afterwards (RetroactiveDefaultStorageClass)."""
        unset = claim.spec.storage_class_name is None and rules.BETA_CLASS not in claim.metadata.annotations
        if not unset or claim.spec.volume_name:
            return claim
        of = rules.default_class(self._classes.list())
        if of is None:
            return claim
        return await self._client.update(
            replace(claim, spec=replace(claim.spec, storage_class_name=of.metadata.name))
        )

    async def _ask_for_volume(self, claim: PersistentVolumeClaim, provisioner: str) -> None:
        notes = claim.metadata.annotations
        if notes.get(rules.PROVISIONER) != provisioner:
            asked = {**notes, rules.PROVISIONER: provisioner, rules.BETA_PROVISIONER: provisioner}
            claim = await self._client.update(replace_meta(claim, annotations=asked))
        self._events.normal(
            claim,
            "ExternalProvisioning",
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by "
            "the system administrator. If volume creation is delayed, please verify that the provisioner is running"
            " and correctly registered.",
        )
        await self._claim_status(claim, phase="Pending")

    async def _bind(self, volume: PersistentVolume, claim: PersistentVolumeClaim) -> None:
        """Volume first: whoever fails in between is finished by the next look."""
        volume = await self._point_to(volume, claim)
        await self._phase(volume, "Bound")
        notes, name = dict(claim.metadata.annotations), volume.metadata.name
        if claim.spec.volume_name != name:
            notes[rules.BOUND_BY_CONTROLLER] = "yes"
        notes[rules.BIND_COMPLETED] = "yes"
        wanted = replace_meta(claim, annotations=notes)
        wanted = replace(wanted, spec=replace(claim.spec, volume_name=name))
        if wanted != claim:
            claim = await self._client.update(wanted)
        size = claim.status.capacity or {"storage": rules.capacity(volume)}
        await self._claim_status(claim, phase="Bound", access_modes=volume.spec.access_modes, capacity=dict(size))

    async def _point_to(self, volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
        reference = volume.spec.claim_ref
        if reference is not None and reference.uid == claim.metadata.uid:
            return volume
        notes = dict(volume.metadata.annotations)
        if not rules.points_to(volume, claim):
            notes[rules.BOUND_BY_CONTROLLER] = "yes"
        spec = replace(volume.spec, claim_ref=rules.reference_to(claim))
        wanted = replace(replace_meta(volume, annotations=notes), spec=spec)
        return await self._client.update(wanted)

    async def _claim_status(self, claim: PersistentVolumeClaim, **fields: Any) -> None:
        status = replace(claim.status, **fields)
        if status != claim.status:
            await self._client.update(replace(claim, status=status), subresource="status")

    # ---- volumes -------------------------------------------------------------------------------------

    async def _volume(self, volume: PersistentVolume) -> None:
        reference = volume.spec.claim_ref
        claim = self._claims.get(reference.name, reference.namespace) if reference is not None else None
        todo = decide_volume(volume, claim)
        if isinstance(todo, Show):
            await self._phase(volume, todo.phase)
        elif isinstance(todo, Unbind):
            await self._unbind(volume)
        elif isinstance(todo, Reclaim):
            if volume.status.phase not in ("Released", "Failed"):
                volume = await self._phase(volume, "Released")
            await self._reclaim(volume)
        else:
            assert isinstance(todo, Leave)

    async def _unbind(self, volume: PersistentVolume) -> None:
        reference, notes = volume.spec.claim_ref, dict(volume.metadata.annotations)
        assert reference is not None
        if notes.pop(rules.BOUND_BY_CONTROLLER, None) is not None:
            freed = replace(replace_meta(volume, annotations=notes), spec=replace(volume.spec, claim_ref=None))
        else:
            freed = replace(volume, spec=replace(volume.spec, claim_ref=replace(reference, uid="")))
        await self._phase(await self._client.update(freed), "Available")

    async def _reclaim(self, volume: PersistentVolume) -> None:
        """Retained volumes stay; provisioned ones are deleted by who made them; of the rest nobody knows how."""
        policy, notes = volume.spec.persistent_volume_reclaim_policy, volume.metadata.annotations
        if policy not in UNRECLAIMABLE or volume.status.phase == "Failed":
            return
        if policy == "Delete" and not notes.get(rules.PROVISIONED_BY, "kubernetes.io/").startswith(
            "kubernetes.io/"
        ):
            return
        reason, message = UNRECLAIMABLE[policy]
        message = message.format(volume.metadata.name)
        await self._phase(volume, "Failed", message)
        self._events.warning(volume, reason, message)

    async def _phase(self, volume: PersistentVolume, phase: str, message: str = "") -> PersistentVolume:
        if volume.status.phase == phase:
            return volume
        status = replace(volume.status, phase=phase, message=message, reason="")
        return await self._client.update(replace(volume, status=status), subresource="status")
