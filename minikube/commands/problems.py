"""What is wrong with a cluster, in sentences: pure functions over what the API says of nodes and pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from minikube.api.core_v1 import ContainerStatus, Event, Node, Pod

STARTING = timedelta(seconds=30)
"""A pod that is younger and on its way is no problem."""
PATIENT = frozenset({"ContainerCreating", "PodInitializing"})
"""Waiting reasons that are none until it takes too long."""


def of_node(node: Node) -> Iterator[str]:
    """Not Ready, under pressure, without network."""
    found = {each.type: each for each in node.status.conditions}
    ready = found.pop("Ready", None)
    if ready is None or ready.status != "True":
        why = f"{ready.reason}: {ready.message}" if ready is not None else "it has never reported"
        yield f"node {node.metadata.name} is not Ready: {why}"
    for condition in found.values():
        if condition.status == "True":
            yield f"node {node.metadata.name} has {condition.type}: {condition.message}"


def of_pod(pod: Pod, now: datetime, warnings: Mapping[str, str]) -> Iterator[str]:
    """Why it doesn't run, if it should; `warnings` has the last one by pod uid."""
    why = _trouble(pod, now, warnings.get(pod.metadata.uid, ""))
    if why:
        yield f"pod {pod.metadata.namespace}/{pod.metadata.name}: {why}"


def last_warnings(events: Iterable[Event]) -> dict[str, str]:
    """Message of the newest Warning by uid of what it is about."""
    found: dict[str, tuple[datetime, str]] = {}
    for event in events:
        at = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
        uid = event.involved_object.uid
        if event.type == "Warning" and at is not None and (uid not in found or found[uid][0] <= at):
            found[uid] = at, f"{event.reason}: {event.message}"
    return {uid: said for uid, (_, said) in found.items()}


def _trouble(pod: Pod, now: datetime, warning: str) -> str:
    if pod.status.phase == "Succeeded":
        return ""
    if pod.status.phase == "Failed":
        return _joined(pod.status.reason or "failed", pod.status.message or _exits(pod))
    unscheduled = next((c for c in pod.status.conditions if c.type == "PodScheduled" and c.status == "False"), None)
    if unscheduled is not None:
        return _joined(unscheduled.reason, unscheduled.message)
    for status in _statuses(pod):
        waiting = status.state.waiting if status.state else None
        if waiting is not None and waiting.reason and waiting.reason not in PATIENT:
            return _joined(f"container {status.name}: {waiting.reason}", waiting.message)
    return _late(pod, now, warning)


def _late(pod: Pod, now: datetime, warning: str) -> str:
    """Runs for a while and is still not what it should be."""
    born = pod.metadata.deletion_timestamp or pod.status.start_time or pod.metadata.creation_timestamp
    ready = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions)
    if ready or born is None or now - born < STARTING:
        return ""
    state = "is still there after its grace period" if pod.metadata.deletion_timestamp else "is not Ready"
    return _joined(state, warning)


def _statuses(pod: Pod) -> Iterator[ContainerStatus]:
    yield from pod.status.init_container_statuses
    yield from pod.status.container_statuses


def _exits(pod: Pod) -> str:
    ended = [(each.name, each.state.terminated) for each in _statuses(pod) if each.state and each.state.terminated]
    return ", ".join(f"container {name} exited with {state.exit_code}" for name, state in ended if state.exit_code)


def _joined(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what
