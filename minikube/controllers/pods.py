"""What several workload controllers ask of pods, and how they make them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from minikube.api.core_v1 import Pod, PodTemplateSpec
from minikube.api.meta import Object, ObjectMeta
from minikube.api.owners import controller_reference


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
    since = ready_since(pod)
    return since is not None and (now - since).total_seconds() >= min_ready_seconds


def available_in(pods: Iterable[Pod], min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the next of the ready pods becomes available by itself; None: nothing to wait for."""
    if not min_ready_seconds:
        return None
    waits = [
        min_ready_seconds - (now - since).total_seconds()
        for pod in pods
        if ready(pod) and (since := ready_since(pod)) is not None
    ]
    return min((wait for wait in waits if wait > 0), default=None)


def from_template(owner: Object, template: PodTemplateSpec, *, name: str = "") -> Pod:
    """A new pod of this template, controlled by `owner`; named by the server unless `name` is given."""
    meta = ObjectMeta(
        name=name,
        generate_name="" if name else f"{owner.metadata.name}-",
        namespace=owner.metadata.namespace,
        labels=template.metadata.labels,
        annotations=template.metadata.annotations,
        finalizers=template.metadata.finalizers,
        owner_references=(controller_reference(owner),),
    )
    return Pod(metadata=meta, spec=template.spec)


DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "": 0}


def first_to_go(pods: Iterable[Pod], now: datetime, beside: Iterable[Pod] = ()) -> list[Pod]:
    """The order of deletion when there are too many (controller.ActivePodsWithRanks): unassigned, pending, not
    ready, cheap by annotation, together on a node with others of theirs (`beside`: pods of sibling sets), ready
    for a shorter time, restarted more often, younger; times are compared by powers of two."""
    pods = list(pods)
    crowd = Counter(pod.spec.node_name for pod in (*pods, *beside) if pod.spec.node_name)

    def rank(pod: Pod) -> tuple[object, ...]:
        is_ready = ready(pod)
        return (
            bool(pod.spec.node_name),
            _PHASES.get(pod.status.phase, 2),
            is_ready,
            _cost(pod),
            -crowd[pod.spec.node_name],
            _magnitude(ready_since(pod), now) if is_ready else 0,
            -max((status.restart_count for status in pod.status.container_statuses), default=0),
            _magnitude(pod.metadata.creation_timestamp, now),
            pod.metadata.uid,
        )

    return sorted(pods, key=rank)


def ready_since(pod: Pod) -> datetime | None:
    return next((c.last_transition_time for c in pod.status.conditions if c.type == "Ready"), None)


def _cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    return int(text) if text.removeprefix("-").isdecimal() else 0


def _magnitude(since: datetime | None, now: datetime) -> int:
    """The age's power of two: pods of like age are equal, so that not always the youngest go."""
    age = (now - since).total_seconds() if since is not None else 0.0
    return math.floor(math.log2(age)) if age > 0 else -64
