"""What becomes of a claim, and of a volume: the decisions of the persistent volume binder, pure.

Rules: pkg/controller/volume/persistentvolume (syncUnboundClaim, syncBoundClaim, syncVolume).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from minikube.api import volumes as rules
from minikube.api.core_v1 import PersistentVolume, PersistentVolumeClaim
from minikube.api.storage_v1 import StorageClass

Volumes = Mapping[str, PersistentVolume]
Classes = Mapping[str, StorageClass]


class Bind(msgspec.Struct, frozen=True):
    """Make volume and claim each other's, or finish that."""

    volume: PersistentVolume


class Wait(msgspec.Struct, frozen=True):
    """The claim stays Pending; the event (if any) says why."""

    reason: str = ""
    message: str = ""
    warning: bool = False


class Lose(msgspec.Struct, frozen=True):
    """The claim was bound and its volume is not its own any more."""

    reason: str
    message: str


class Provision(msgspec.Struct, frozen=True):
    """Somebody else makes a volume for it."""

    provisioner: str


ClaimAction = Bind | Wait | Lose | Provision


def decide_claim(
    claim: PersistentVolumeClaim, volumes: Volumes, classes: Classes, consumers: Sequence[str] = ()
) -> ClaimAction:
    """`consumers`: names of pods that use the claim and have no node yet."""
    if rules.BIND_COMPLETED in claim.metadata.annotations:
        return _bound(claim, volumes)
    if claim.spec.volume_name:
        return _asked_for(claim, volumes.get(claim.spec.volume_name))
    of = classes.get(rules.class_of_claim(claim))
    waits = rules.waits_for_consumer(of)
    found = rules.best_match(claim, volumes.values(), waits=waits)
    if found is not None:
        return Bind(found)
    if waits and not claim.metadata.annotations.get(rules.SELECTED_NODE):
        return _waits(consumers)
    name = rules.class_of_claim(claim)
    if not name:
        why = "no persistent volumes available for this claim and no storage class is set"
        return Wait("FailedBinding", why)
    if of is None:
        why = f'storageclass.storage.k8s.io "{name}" not found'
        return Wait("ProvisioningFailed", why, warning=True)
    if of.provisioner.startswith("kubernetes.io/"):
        why = f"no volume plugin matched name: {of.provisioner}"
        return Wait("ProvisioningFailed", why, warning=True)
    return Provision(of.provisioner)


def _bound(claim: PersistentVolumeClaim, volumes: Volumes) -> Bind | Lose:
    name = claim.spec.volume_name
    if not name:
        why = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return Lose("ClaimLost", why)
    volume = volumes.get(name)
    if volume is None:
        return Lose("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
    reference = volume.spec.claim_ref
    if reference is None or reference.uid == claim.metadata.uid:
        return Bind(volume)
    why = "Two claims are bound to the same volume, this one is bound incorrectly"
    return Lose("ClaimMisbound", why)


def _asked_for(claim: PersistentVolumeClaim, volume: PersistentVolume | None) -> Bind | Wait:
    """The claim names its volume."""
    if volume is None:
        return Wait()
    if volume.spec.claim_ref is None:
        if why := rules.mismatch(volume, claim):
            text = f'Cannot bind to requested volume "{volume.metadata.name}": {why}'
            return Wait("VolumeMismatch", text, warning=True)
        return Bind(volume)
    if rules.points_to(volume, claim):
        return Bind(volume)
    text = f'volume "{volume.metadata.name}" already bound to a different claim.'
    return Wait("FailedBinding", text, warning=True)


def _waits(consumers: Sequence[str]) -> Wait:
    if not consumers:
        return Wait("WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    if len(consumers) == 1:
        return Wait("WaitForPodScheduled", f"waiting for pod {consumers[0]} to be scheduled")
    return Wait("WaitForPodScheduled", f"waiting for pods {','.join(sorted(consumers))} to be scheduled")


class Show(msgspec.Struct, frozen=True):
    """The volume is in this phase."""

    phase: str


class Unbind(msgspec.Struct, frozen=True):
    """It was reserved for a claim that got another one."""


class Reclaim(msgspec.Struct, frozen=True):
    """Its claim is gone: Released, then as its reclaim policy says."""


class Leave(msgspec.Struct, frozen=True):
    """The claim's turn."""


VolumeAction = Show | Unbind | Reclaim | Leave


def decide_volume(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> VolumeAction:
    """`claim` is the one of the name in claimRef."""
    reference = volume.spec.claim_ref
    if reference is None or not reference.uid:
        return Show("Available")
    if claim is None or claim.metadata.uid != reference.uid:
        return Reclaim()
    if not claim.spec.volume_name:
        return Leave()
    if claim.spec.volume_name == volume.metadata.name:
        return Show("Bound")
    provisioned = rules.PROVISIONED_BY in volume.metadata.annotations
    if provisioned and volume.spec.persistent_volume_reclaim_policy == "Delete":
        return Reclaim()
    return Unbind()
