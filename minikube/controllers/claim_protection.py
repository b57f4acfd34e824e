"""A claim that pods still use is not removed. Rules: pkg/controller/volume/pvcprotection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import PersistentVolumeClaim, Pod
from minikube.api.meta import Key, key_of
from minikube.api.owners import controlled_by
from minikube.api.volumes import CLAIM_PROTECTION, claim_name, claim_names
from minikube.controllers.base import After, Context, Watch, itself
from minikube.controllers.protection import protected


def uses(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """A pod object on a node names the claim; a node starts no pod whose claim is being deleted."""
    if not pod.spec.node_name or pod.metadata.namespace != claim.metadata.namespace:
        return False
    return any(
        claim_name(pod, volume) == claim.metadata.name
        and (volume.ephemeral is None or (controlled_by(claim, pod) and not _shut_down(pod)))
        for volume in pod.spec.volumes
    )


def _shut_down(pod: Pod) -> bool:
    """Its node is done with it, or nobody waits for that: its own finalizers may even wait for the claim."""
    meta = pod.metadata
    return meta.deletion_timestamp is not None and meta.deletion_grace_period_seconds == 0


class ClaimProtectionController:
    name: ClassVar[str] = "pvc-protection-controller"
    workers: ClassVar[int] = 1
    watches = (
        itself(PersistentVolumeClaim),
        Watch(Pod, lambda pod: [Key(pod.metadata.namespace, name) for name in claim_names(pod)]),
    )

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._claims = context.informers.of(PersistentVolumeClaim).lister
        pods = context.informers.of(Pod)
        pods.add_index("claims", claims_of)
        self._pods = pods.lister

    async def reconcile(self, key: Key) -> After | None:
        claim = self._claims.get(key.name, key.namespace)
        if claim is None:
            return None
        wanted = protected(claim, CLAIM_PROTECTION, used=self._used(claim))
        if wanted is not claim:
            await self._client.update(wanted)
        return None

    def _used(self, claim: PersistentVolumeClaim) -> bool:
        return any(uses(pod, claim) for pod in self._pods.by_index("claims", str(key_of(claim))))


def claims_of(obj: Pod) -> Iterable[str]:
    """Index of pods by the claims (namespace/name) that they use."""
    return [f"{obj.metadata.namespace}/{name}" for name in claim_names(obj)]
