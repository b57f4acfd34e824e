"""How claims and persistent volumes belong together: the pure rules that binder, scheduler and node share.

Rules: k8s.io/component-helpers/storage/volume and storage/ephemeral.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from minikube.api import quantity
from minikube.api.core_v1 import Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod, Volume
from minikube.api.meta import Quantity
from minikube.api.node_selector import matches_selector
from minikube.api.owners import controlled_by
from minikube.api.selectors import matches
from minikube.api.storage_v1 import StorageClass

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
CLAIM_PROTECTION, VOLUME_PROTECTION = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


def class_of_claim(claim: PersistentVolumeClaim) -> str:
    return claim.metadata.annotations.get(BETA_CLASS) or claim.spec.storage_class_name or ""


def class_of_volume(volume: PersistentVolume) -> str:
    return volume.metadata.annotations.get(BETA_CLASS) or volume.spec.storage_class_name


def is_default(of: StorageClass) -> bool:
    notes = of.metadata.annotations
    return notes.get(DEFAULT_CLASS) == "true" or notes.get(BETA_DEFAULT_CLASS) == "true"


def default_class(classes: Iterable[StorageClass]) -> StorageClass | None:
    """The newest of those marked as default; of equally old ones the first by name."""
    marked = [one for one in classes if is_default(one)]
    marked.sort(key=lambda one: one.metadata.name)
    return max(marked, key=lambda one: _created(one), default=None)


def _created(of: StorageClass) -> float:
    at = of.metadata.creation_timestamp
    return at.timestamp() if at is not None else 0.0


def waits_for_consumer(of: StorageClass | None) -> bool:
    return of is not None and of.volume_binding_mode == "WaitForFirstConsumer"


def requested(claim: PersistentVolumeClaim) -> Quantity:
    return (claim.spec.resources.requests if claim.spec.resources else {}).get("storage", "0")


def capacity(volume: PersistentVolume) -> Quantity:
    return volume.spec.capacity.get("storage", "0")


def points_to(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """The volume is reserved for this claim, by name (no uid yet) or altogether."""
    reference, meta = volume.spec.claim_ref, claim.metadata
    if reference is None or (reference.namespace, reference.name) != (meta.namespace, meta.name):
        return False
    return reference.uid in ("", meta.uid)


def reference_to(claim: PersistentVolumeClaim) -> ObjectReference:
    """What the claimRef of its volume says."""
    meta = claim.metadata
    return ObjectReference(
        api_version="v1",
        kind="PersistentVolumeClaim",
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        resource_version=meta.resource_version,
    )


def fully_bound(claim: PersistentVolumeClaim) -> bool:
    return bool(claim.spec.volume_name) and BIND_COMPLETED in claim.metadata.annotations


def allowed_on(of: StorageClass, node: Node) -> bool:
    """A volume of the class may be made there (allowedTopologies)."""
    labels, terms = node.metadata.labels, of.allowed_topologies
    return not terms or any(
        all(labels.get(one.key) in one.values for one in term.match_label_expressions) for term in terms
    )


def reachable(volume: PersistentVolume, node: Node) -> bool:
    """The volume's node affinity, if it has one, holds on this node."""
    affinity = volume.spec.node_affinity
    required = affinity.required if affinity is not None else None
    return required is None or matches_selector(required, node)


def mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Why a volume that a claim asks for by name can't be its; empty if it can."""
    if quantity.parse(capacity(volume)) < quantity.parse(requested(claim)):
        return "requested PV is too small"
    if class_of_volume(volume) != class_of_claim(claim):
        return "storageClassName does not match"
    if not _same_mode(volume, claim):
        return "incompatible volumeMode"
    if not _has_access_modes(volume, claim):
        return "incompatible accessMode"
    return ""


def _same_mode(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    return (volume.spec.volume_mode or "Filesystem") == (claim.spec.volume_mode or "Filesystem")


def _has_access_modes(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    return set(claim.spec.access_modes) <= set(volume.spec.access_modes)


def best_match(
    claim: PersistentVolumeClaim,
    volumes: Iterable[PersistentVolume],
    *,
    node: Node | None = None,
    waits: bool = False,
    taken: Iterable[str] = (),
) -> PersistentVolume | None:
    """The volume reserved for the claim, else the smallest free one with the fewest access modes that fits.

    `node`: it has to be reachable there. `waits`: only a reserved one (the rest is the scheduler's choice).
    `taken`: names of volumes that others of the same pod get.
    """
    wanted, excluded = quantity.parse(requested(claim)), frozenset(taken)
    fitting: list[PersistentVolume] = []
    for volume in volumes:
        if volume.metadata.name in excluded or volume.metadata.deletion_timestamp is not None:
            continue
        if volume.spec.claim_ref is not None and not points_to(volume, claim):
            continue
        if quantity.parse(capacity(volume)) < wanted or not _same_mode(volume, claim):
            continue
        if (volume.spec.volume_attributes_class_name or "") != (claim.spec.volume_attributes_class_name or ""):
            continue
        near = node is None or reachable(volume, node)
        if points_to(volume, claim):
            return volume if near else None
        free = volume.status.phase == "Available" and near and not (waits and node is None)
        if free and _suits(volume, claim):
            fitting.append(volume)
    return min(fitting, key=_preference, default=None)


def _suits(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    if class_of_volume(volume) != class_of_claim(claim) or not _has_access_modes(volume, claim):
        return False
    return claim.spec.selector is None or matches(claim.spec.selector, volume.metadata.labels)


def _preference(volume: PersistentVolume) -> tuple[int, list[str], object]:
    modes = volume.spec.access_modes
    return len(modes), sorted(modes), quantity.parse(capacity(volume))


def claim_name(pod: Pod, volume: Volume) -> str:
    """Of the claim behind a pod's volume, also of a generic ephemeral one; empty for other volumes."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    return f"{pod.metadata.name}-{volume.name}" if volume.ephemeral is not None else ""


def claim_names(pod: Pod) -> list[str]:
    return [name for volume in pod.spec.volumes if (name := claim_name(pod, volume))]


def foreign_claim(pod: Pod, claim: PersistentVolumeClaim) -> str:
    """Why a claim can't be the one behind a generic ephemeral volume of this pod; empty if it is."""
    if controlled_by(claim, pod):
        return ""
    mine, its = pod.metadata, claim.metadata
    return f"PVC {its.namespace}/{its.name} was not created for pod {mine.namespace}/{mine.name} (pod is not owner)"


def topology_labels(volume: PersistentVolume, keys: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Zone and region labels of a volume: each may name several values, joined by `__`."""
    labels = volume.metadata.labels
    return {key: frozenset(labels[key].split("__")) for key in keys if key in labels}
