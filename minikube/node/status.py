"""The status of a pod, computed as the kubelet computes it: pure, and the same for the same observation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from minikube.api import time
from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)
from minikube.api.quantity import parse
from minikube.node.decide import (
    Observed,
    backoff_delay,
    backoff_left,
    containers_of,
    finished,
    is_sidecar,
    overdue,
    restarts,
)
from minikube.node.runtime.base import Container, State

OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")


def pod_status(pod: Pod, observed: Observed, now: datetime, host_ips: Sequence[str], scheme: str) -> PodStatus:
    """`scheme` is the runtime's name before container ids (containerd)."""
    stopping = pod.metadata.deletion_timestamp is not None
    initialized = _initialized(pod, observed)
    waiting = "PodInitializing" if pod.spec.init_containers and not initialized else "ContainerCreating"
    old = pod.status
    inits = tuple(
        _container(pod, each, observed, now, "PodInitializing", scheme) for each in pod.spec.init_containers
    )
    mains = tuple(_container(pod, each, observed, now, waiting, scheme) for each in pod.spec.containers)
    phase, reason, message = _phase(pod, observed), "", ""
    if old.phase in ("Failed", "Succeeded"):
        phase, reason, message = old.phase, old.reason, old.message
    elif observed.evicted:
        phase, reason, message = "Failed", "Evicted", observed.evicted
    elif overdue(pod, now) and not stopping:
        phase, reason = "Failed", "DeadlineExceeded"
        message = "Pod was active on the node longer than the specified deadline"
    unready = [each.name for each in mains if not each.ready]
    unready += [
        each.name
        for wanted, each in zip(pod.spec.init_containers, inits, strict=True)
        if is_sidecar(wanted) and not each.ready
    ]
    host_network = bool(pod.spec.host_network)
    ips = tuple(host_ips) if host_network and observed.sandbox else observed.ips
    ips = ips or tuple(each.ip for each in old.pod_ips)
    return PodStatus(
        phase=phase,
        reason=reason,
        message=message,
        conditions=_conditions(pod, observed, phase, initialized, unready, now),
        container_statuses=mains,
        init_container_statuses=inits,
        ephemeral_container_statuses=old.ephemeral_container_statuses,
        host_ip=host_ips[0] if host_ips else "",
        host_ips=tuple(HostIP(ip=ip) for ip in host_ips),
        pod_ip=ips[0] if ips else "",
        pod_ips=tuple(PodIP(ip=ip) for ip in ips),
        start_time=old.start_time or time.seconds(now),
        qos_class=old.qos_class or qos_class(pod),
        nominated_node_name=old.nominated_node_name,
        observed_generation=pod.metadata.generation or None,
    )


def _container(
    pod: Pod, wanted: Wanted, observed: Observed, now: datetime, waiting: str, scheme: str
) -> ContainerStatus:
    latest = observed.latest(wanted.name)
    problem = observed.problems.get(wanted.name)
    if latest is None:
        state = ContainerState(
            waiting=ContainerStateWaiting(
                reason=problem.reason if problem else waiting, message=problem.message if problem else ""
            )
        )
        return ContainerStatus(name=wanted.name, image=wanted.image, state=state, started=False)
    previous = max(
        (each for each in observed.containers if each.name == wanted.name and each.attempt < latest.attempt),
        key=lambda each: each.attempt,
        default=None,
    )
    last = ContainerState(terminated=_terminated(previous, scheme)) if previous is not None else None
    running, ready, started = latest.state is State.RUNNING, False, False
    if running:
        state = ContainerState(running=ContainerStateRunning(started_at=_seconds(latest.started_at)))
        started = latest.id in observed.started
        ready = started and latest.id in observed.ready
    elif latest.state is State.EXITED:
        over = pod.metadata.deletion_timestamp is not None or pod.status.phase in ("Failed", "Succeeded")
        state = ContainerState(terminated=_terminated(latest, scheme))
        if not over and restarts(pod, wanted, latest) and not finished(pod, observed):
            if problem is not None:
                last, state = state, _waiting(problem.reason, problem.message)
            elif backoff_left(latest, now) > 0:
                text = f"back-off {_duration(backoff_delay(latest))} restarting failed container={wanted.name} "
                text += f"pod={pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"
                last, state = state, _waiting("CrashLoopBackOff", text)
        elif wanted in pod.spec.init_containers and latest.exit_code == 0:
            ready = True
    else:
        state = _waiting(problem.reason if problem else waiting, problem.message if problem else "")
    return ContainerStatus(
        name=wanted.name,
        image=latest.image or wanted.image,
        image_id=latest.image_id,
        container_id=f"{scheme}://{latest.id}",
        ready=ready,
        started=started,
        restart_count=latest.attempt,
        state=state,
        last_state=last or ContainerState(),
    )


def _waiting(reason: str, message: str) -> ContainerState:
    return ContainerState(waiting=ContainerStateWaiting(reason=reason, message=message))


def _terminated(container: Container, scheme: str) -> ContainerStateTerminated:
    code = container.exit_code
    return ContainerStateTerminated(
        container_id=f"{scheme}://{container.id}",
        exit_code=code,
        reason=container.reason or ("Completed" if code == 0 else "Error"),
        message=container.message,
        started_at=_seconds(container.started_at or container.created_at),
        finished_at=_seconds(container.finished_at),
    )


def _seconds(at: datetime | None) -> datetime | None:
    return time.seconds(at) if at is not None else None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _initialized(pod: Pod, observed: Observed) -> bool:
    for wanted in pod.spec.init_containers:
        latest = observed.latest(wanted.name)
        if latest is None:
            return False
        if is_sidecar(wanted):
            if latest.id not in observed.started and latest.state is not State.EXITED:
                return False
        elif latest.state is not State.EXITED or latest.exit_code != 0:
            return False
    return True


def _phase(pod: Pod, observed: Observed) -> str:
    """getPhase of the kubelet."""
    for wanted in pod.spec.init_containers:
        latest = observed.latest(wanted.name)
        if is_sidecar(wanted):
            if latest is None:
                return "Pending"
            continue
        if latest is None or latest.state is not State.EXITED:
            return "Pending"
        if latest.exit_code != 0:
            return "Pending" if restarts(pod, wanted, latest) else "Failed"
    all_latest = [(each, observed.latest(each.name)) for each in pod.spec.containers]
    if any(latest is None or latest.state is State.CREATED for _, latest in all_latest):
        return "Pending"
    if finished(pod, observed):
        good = all(latest is not None and latest.exit_code == 0 for _, latest in all_latest)
        return "Succeeded" if good else "Failed"
    if pod.metadata.deletion_timestamp is not None and not any(
        latest is not None and latest.state is State.RUNNING for _, latest in all_latest
    ):
        good = all(latest is not None and latest.exit_code == 0 for _, latest in all_latest)
        return "Succeeded" if good else "Failed"
    return "Running"


def _conditions(
    pod: Pod, observed: Observed, phase: str, initialized: bool, unready: Sequence[str], now: datetime
) -> tuple[PodCondition, ...]:
    done = phase in ("Succeeded", "Failed")
    succeeded = phase == "Succeeded"
    incomplete = f"containers with unready status: [{' '.join(unready)}]"
    pending = [each.name for each in pod.spec.init_containers if not _ended_well(each, observed)]
    wanted = [
        _condition(
            "PodReadyToStartContainers",
            observed.sandbox is not None and bool(observed.ips or pod.spec.host_network),
        )
    ]
    if initialized or succeeded:
        wanted.append(_condition("Initialized", True, "PodCompleted" if succeeded else ""))
    else:
        text = f"containers with incomplete status: [{' '.join(pending)}]"
        wanted.append(_condition("Initialized", False, "ContainersNotInitialized", text))
    gates = {each.type: each.status for each in pod.status.conditions}
    closed = [gate.condition_type for gate in pod.spec.readiness_gates if gates.get(gate.condition_type) != "True"]
    for type in ("Ready", "ContainersReady"):
        if done:
            reason = "PodCompleted" if succeeded else "PodFailed"
            wanted.append(_condition(type, False, reason))
        elif unready or not initialized:
            wanted.append(_condition(type, False, "ContainersNotReady", incomplete))
        elif type == "Ready" and closed:
            text = f'corresponding condition of pod readiness gate "{closed[0]}" does not exist.'
            wanted.append(_condition(type, False, "ReadinessGatesNotReady", text))
        else:
            wanted.append(_condition(type, True))
    old = {each.type: each for each in pod.status.conditions}
    stamped = tuple(_stamped(each, old.get(each.type), pod, now) for each in wanted)
    return stamped + tuple(each for each in pod.status.conditions if each.type not in OWNED)


def _ended_well(wanted: Wanted, observed: Observed) -> bool:
    latest = observed.latest(wanted.name)
    if latest is None:
        return False
    if is_sidecar(wanted):
        return latest.id in observed.started
    return latest.state is State.EXITED and latest.exit_code == 0


def _condition(type: str, holds: bool, reason: str = "", message: str = "") -> PodCondition:
    return PodCondition(type=type, status="True" if holds else "False", reason=reason, message=message)


def _stamped(new: PodCondition, old: PodCondition | None, pod: Pod, now: datetime) -> PodCondition:
    same = old is not None and old.status == new.status
    at = old.last_transition_time if old is not None and same else time.seconds(now)
    return replace(new, last_transition_time=at, observed_generation=pod.metadata.generation or None)


def qos_class(pod: Pod) -> str:
    """Guaranteed: every container has equal cpu and memory requests and limits. BestEffort: none has any."""
    guaranteed, anything = True, False
    for container in containers_of(pod):
        given = container.resources
        for name in ("cpu", "memory"):
            limit = parse(given.limits.get(name)) if given else parse(None)
            request = parse(given.requests.get(name, given.limits.get(name))) if given else parse(None)
            anything = anything or bool(limit or request)
            guaranteed = guaranteed and bool(limit) and limit == request
    if guaranteed:
        return "Guaranteed"
    return "Burstable" if anything else "BestEffort"
