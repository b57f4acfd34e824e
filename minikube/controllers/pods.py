"""What several workload controllers ask of pods, and how they make them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from minikube.api.core_v1 import Pod, PodTemplateSpec
from minikube.api.meta import Object, ObjectMeta, OwnerReference


def controller_of(obj: Object) -> OwnerReference | None:
    """The one owner that controls it."""
    return next((owner for owner in obj.metadata.owner_references if owner.controller), None)


def controlled_by(owner: Object) -> OwnerReference:
    """The reference that makes `owner` the controller."""
    return OwnerReference(
        api_version=owner.resource.api_version,
        kind=owner.resource.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def active(pod: Pod) -> bool:
    """Neither ended nor going away."""
    return pod.status.phase not in ("Succeeded", "Failed") and pod.metadata.deletion_timestamp is None


def condition(pod: Pod, type: str) -> bool:
    return any(c.type == type and c.status == "True" for c in pod.status.conditions)


def ready(pod: Pod) -> bool:
    return condition(pod, "Ready")


def available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    """Ready for at least so long (podutil.IsPodAvailable)."""
    if not ready(pod):
        return False
    if not min_ready_seconds:
        return True
    since = next((c.last_transition_time for c in pod.status.conditions if c.type == "Ready"), None)
    return since is not None and (now - since).total_seconds() >= min_ready_seconds


def from_template(owner: Object, template: PodTemplateSpec, *, name: str = "") -> Pod:
    """A new pod of this template, controlled by `owner`; named by the server unless `name` is given."""
    meta = ObjectMeta(
        name=name,
        generate_name="" if name else f"{owner.metadata.name}-",
        namespace=owner.metadata.namespace,
        labels=template.metadata.labels,
        annotations=template.metadata.annotations,
        finalizers=template.metadata.finalizers,
        owner_references=(controlled_by(owner),),
    )
    return Pod(metadata=meta, spec=template.spec)


def first_to_go(pods: Iterable[Pod], now: datetime) -> list[Pod]:
    """The order of deletion when there are too many (controller.ActivePodsWithRanks): unassigned, pending, not
    ready, cheap by annotation, younger first."""

    def rank(pod: Pod) -> tuple[object, ...]:
        phase = {"Pending": 0, "Unknown": 1}.get(pod.status.phase, 2)
        cost = pod.metadata.annotations.get("controller.kubernetes.io/pod-deletion-cost", "0")
        restarts = sum(status.restart_count for status in pod.status.container_statuses)
        created = pod.metadata.creation_timestamp or now
        number = int(cost) if cost.lstrip("-").isdigit() else 0
        return (bool(pod.spec.node_name), phase, ready(pod), number, -restarts, -created.timestamp())

    return sorted(pods, key=rank)
