"""Generic ephemeral volumes: each gets a claim that the pod owns. Rules: pkg/controller/volume/ephemeral."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import PersistentVolumeClaim, Pod, Volume
from minikube.api.meta import Key, ObjectMeta, key_of
from minikube.api.owners import controller_reference
from minikube.api.volumes import claim_name, foreign_claim
from minikube.controllers.base import After, Context, Watch
from minikube.errors import ApiError


def claim_for(pod: Pod, volume: Volume) -> PersistentVolumeClaim:
    """The claim behind a volume whose `ephemeral` is set."""
    assert volume.ephemeral is not None
    template = volume.ephemeral.volume_claim_template
    assert template is not None
    meta = template.metadata or ObjectMeta()
    return PersistentVolumeClaim(
        metadata=ObjectMeta(
            name=claim_name(pod, volume),
            namespace=pod.metadata.namespace,
            labels=meta.labels,
            annotations=meta.annotations,
            owner_references=(controller_reference(pod),),
        ),
        spec=template.spec,
    )


def _pods_with_ephemeral(pod: Pod) -> Iterable[Key]:
    if any(volume.ephemeral is not None for volume in pod.spec.volumes):
        yield key_of(pod)


def _owner(claim: PersistentVolumeClaim) -> Iterable[Key]:
    for owner in claim.metadata.owner_references:
        if owner.controller and owner.kind == "Pod":
            yield Key(claim.metadata.namespace, owner.name)


class EphemeralVolumeController:
    name: ClassVar[str] = "ephemeral-volume-controller"
    workers: ClassVar[int] = 1
    watches = (Watch(Pod, _pods_with_ephemeral), Watch(PersistentVolumeClaim, _owner))

    def __init__(self, context: Context) -> None:
        self._client, self._events = context.client, context.events
        self._pods = context.informers.of(Pod).lister
        self._claims = context.informers.of(PersistentVolumeClaim).lister

    async def reconcile(self, key: Key) -> After | None:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return None
        for volume in pod.spec.volumes:
            if volume.ephemeral is None:
                continue
            if why := await self._ensure(pod, volume):
                self._events.warning(pod, "FailedBinding", f"ephemeral volume {volume.name}: {why}")
                raise ApiError(f"pod {key}, ephemeral volume {volume.name}: {why}")
        return None

    async def _ensure(self, pod: Pod, volume: Volume) -> str:
        """Why there is no claim of its own; empty when there is."""
        found = self._claims.get(claim_name(pod, volume), pod.metadata.namespace)
        if found is not None:
            return foreign_claim(pod, found)
        try:
            await self._client.create(claim_for(pod, volume))
        except ApiError as error:
            return f"create PVC {claim_name(pod, volume)}: {error.message}"
        return ""
