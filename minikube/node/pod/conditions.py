"""The kubelet's own pod conditions (pkg/kubelet/status/generate.go): pure functions of spec and statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from minikube.api import time
from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import ContainerStatus, Pod, PodCondition
from minikube.node.pod.pods import is_sidecar

SCHEDULED = "PodScheduled"
WIRED = "PodReadyToStartContainers"
OWNED = (WIRED, "Initialized", "Ready", "ContainersReady", SCHEDULED)
DISRUPTION = "DisruptionTarget"
RESIZES = ("PodResizePending", "PodResizeInProgress")
ALL_RESTARTING = "AllContainersRestarting"

Statuses = Mapping[str, ContainerStatus]


def conditions(
    pod: Pod, statuses: Statuses, phase: str, extra: Sequence[PodCondition], now: datetime, *, wired: bool
) -> tuple[PodCondition, ...]:
    """`wired`: sandbox and network are there. `extra` are more of the node's own; what others wrote is kept."""
    ready = _containers_ready(pod, statuses, phase)
    wanted = (
        condition(WIRED, wired),
        _initialized(pod, statuses, phase),
        _ready(pod, ready),
        ready,
        condition(SCHEDULED, True),
        *extra,
    )
    old = {each.type: each for each in pod.status.conditions}
    mine = {each.type for each in wanted} | {*OWNED, *RESIZES}
    kept = tuple(each for each in pod.status.conditions if each.type not in mine)
    return tuple(_stamped(each, old.get(each.type), pod, now) for each in wanted) + kept


def unwired(pod: Pod, now: datetime) -> tuple[PodCondition, ...]:
    """The conditions of a pod whose sandbox has ended and of which nothing else has changed."""
    without = condition(WIRED, False)
    given = pod.status.conditions
    return tuple(_stamped(without, each, pod, now) if each.type == WIRED else each for each in given)


def all_restarting(phase: str, *, holds: bool) -> PodCondition:
    """Only of pods in which the exit of a container may restart all."""
    name = ALL_RESTARTING
    if phase in ("Succeeded", "Failed"):
        return condition(name, False, "PodCompleted" if phase == "Succeeded" else "PodFailed")
    if not holds:
        return condition(name, False)
    return condition(name, True, "RestartAllContainersStarted", "container exited with restart policy rule")


def condition(type: str, holds: bool, reason: str = "", message: str = "") -> PodCondition:
    return PodCondition(type=type, status="True" if holds else "False", reason=reason, message=message)


def _initialized(pod: Pod, statuses: Statuses, phase: str) -> PodCondition:
    name = "Initialized"
    unknown = [each.name for each in pod.spec.init_containers if each.name not in statuses]
    incomplete = [
        each.name
        for each in pod.spec.init_containers
        if each.name in statuses and not _complete(pod, each, statuses[each.name])
    ]
    if phase == "Succeeded" and not unknown:
        return condition(name, True, "PodCompleted")
    if has_begun(pod, statuses) or not (unknown or incomplete):
        return condition(name, True)
    return condition(name, False, "ContainersNotInitialized", _listed(unknown, "incomplete", incomplete))


def _complete(pod: Pod, wanted: Wanted, status: ContainerStatus) -> bool:
    return bool(status.started) if is_sidecar(pod, wanted.name) else status.ready


def has_begun(pod: Pod, statuses: Statuses) -> bool:
    """A main container has started at least once: the pod counts as initialized for good."""
    return any(started(statuses[each.name]) for each in pod.spec.containers if each.name in statuses)


def started(status: ContainerStatus) -> bool:
    now, last = status.state, status.last_state
    return bool(now and (now.running or now.terminated)) or bool(last and last.terminated)


def _containers_ready(pod: Pod, statuses: Statuses, phase: str) -> PodCondition:
    name = "ContainersReady"
    counted = [each.name for each in pod.spec.init_containers if is_sidecar(pod, each.name)]
    counted += [each.name for each in pod.spec.containers]
    unknown = [each for each in counted if each not in statuses]
    unready = [each for each in counted if each in statuses and not statuses[each].ready]
    if phase == "Failed":
        return condition(name, False, "PodFailed")
    if phase == "Succeeded" and not unknown:
        return condition(name, False, "PodCompleted")
    if unknown or unready:
        return condition(name, False, "ContainersNotReady", _listed(unknown, "unready", unready))
    return condition(name, True)


def _ready(pod: Pod, containers: PodCondition) -> PodCondition:
    """As the containers are, and every readiness gate open."""
    if containers.status != "True":
        return replace(containers, type="Ready")
    present = {each.type: each.status for each in pod.status.conditions}
    closed = []
    for gate in pod.spec.readiness_gates:
        if gate.condition_type not in present:
            closed.append(f'corresponding condition of pod readiness gate "{gate.condition_type}" does not exist.')
        elif present[gate.condition_type] != "True":
            status = present[gate.condition_type]
            closed.append(f'the status of pod readiness gate "{gate.condition_type}" is not "True", but {status}')
    if closed:
        return condition("Ready", False, "ReadinessGatesNotReady", ", ".join(closed))
    return condition("Ready", True)


def _listed(unknown: Sequence[str], what: str, others: Sequence[str]) -> str:
    parts = []
    if unknown:
        parts.append(f"containers with unknown status: [{' '.join(unknown)}]")
    if others:
        parts.append(f"containers with {what} status: [{' '.join(others)}]")
    return ", ".join(parts)


def _stamped(new: PodCondition, old: PodCondition | None, pod: Pod, now: datetime) -> PodCondition:
    """The time is that of the last change of status."""
    same = old is not None and old.status == new.status
    at = old.last_transition_time if old is not None and same else time.seconds(now)
    return replace(new, last_transition_time=at, observed_generation=pod.metadata.generation or None)
