"""The status of a pod, computed as the kubelet computes it: pure, and the same for the same observation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from minikube.api import time
from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus
from minikube.node.pod.conditions import (
    DISRUPTION,
    OWNED,
    SCHEDULED,
    Statuses,
    all_restarting,
    condition,
    conditions,
    has_begun,
    unwired,
)
from minikube.node.pod.container_status import container_status, settled
from minikube.node.pod.decide import is_over
from minikube.node.pod.observed import Ending, Observed
from minikube.node.pod.pods import as_container, is_sidecar, is_terminal, overdue
from minikube.node.pod.resize import WHOLE
from minikube.node.pod.restarts import could_restart_all
from minikube.resources.qos import qos_class

TOO_LONG = "Pod was active on the node longer than the specified deadline"


def pod_status(pod: Pod, observed: Observed, now: datetime, host_ips: Sequence[str], scheme: str) -> PodStatus:
    """`scheme` is the runtime's name before container ids (containerd).

    A terminal phase, once published, stays; it is published only when nothing of the pod runs any more.
    """
    old, ending = pod.status, ending_of(pod, observed, now)
    if ending is not None and ending.rejected:
        return _rejected(pod, ending)
    if is_terminal(pod) and not observed.containers:
        return old if observed.sandbox is not None else replace(old, conditions=unwired(pod, now))
    over = is_over(pod, observed, now)

    def statuses(wanted: Sequence[Wanted]) -> tuple[ContainerStatus, ...]:
        return tuple(container_status(pod, each, observed, now, scheme, over=over) for each in wanted)

    inits, mains = statuses(pod.spec.init_containers), statuses(pod.spec.containers)
    by_name = {each.name: each for each in (*inits, *mains)}
    reason = message = ""
    if is_terminal(pod):
        phase, reason, message = old.phase, old.reason, old.message
    elif over and not observed.running:
        phase = "Succeeded" if succeeded(pod, by_name) else "Failed"
        if ending is not None:
            phase, reason, message = "Failed", ending.reason, ending.message
    else:
        phase = phase_of(pod, by_name)
    if over and not observed.running:
        inits, mains = settled(pod, inits, mains)
    ips = tuple(host_ips) if pod.spec.host_network and observed.sandbox else observed.ips
    ips = ips or tuple(each.ip for each in old.pod_ips)
    allocated = observed.allocated.get(WHOLE)
    wired = observed.sandbox is not None and bool(observed.ips or pod.spec.host_network)
    return replace(
        old,
        phase=phase,
        reason=reason,
        message=message,
        conditions=conditions(pod, by_name, phase, _more(pod, observed, ending, phase), now, wired=wired),
        container_statuses=mains,
        init_container_statuses=inits,
        ephemeral_container_statuses=statuses([as_container(each) for each in pod.spec.ephemeral_containers]),
        host_ip=host_ips[0] if host_ips else "",
        host_ips=tuple(HostIP(ip=ip) for ip in host_ips),
        pod_ip=ips[0] if ips else "",
        pod_ips=tuple(PodIP(ip=ip) for ip in ips),
        start_time=old.start_time or time.seconds(now),
        qos_class=old.qos_class or qos_class(pod.spec),
        observed_generation=pod.metadata.generation or None,
        resources=observed.whole,
        allocated_resources=allocated.requests if allocated is not None else {},
    )


def ending_of(pod: Pod, observed: Observed, now: datetime) -> Ending | None:
    """Why the node ends this pod, if it does."""
    if observed.ending is not None or is_terminal(pod):
        return observed.ending
    if overdue(pod, now) and pod.metadata.deletion_timestamp is None:
        return Ending("DeadlineExceeded", TOO_LONG)
    return None


def succeeded(pod: Pod, statuses: Statuses) -> bool:
    """Of a pod that is over: every main container has ended well."""
    states = [statuses[each.name].state for each in pod.spec.containers]
    return all(state and state.terminated and state.terminated.exit_code == 0 for state in states)


def phase_of(pod: Pod, statuses: Statuses) -> str:
    """Of a pod that is not over, or of which something still runs (getPhase and mergePodStatus of the kubelet)."""
    counts = _Counts(pod, statuses)
    if counts.pending_init or counts.waiting or (counts.pending_sidecars and not has_begun(pod, statuses)):
        return "Pending"
    return "Running" if counts.running or counts.stopped else "Pending"


class _Counts:
    """Containers by what they do."""

    def __init__(self, pod: Pod, statuses: Statuses) -> None:
        self.pending_init = self.pending_sidecars = 0
        self.running = self.waiting = self.stopped = 0
        for wanted in pod.spec.init_containers:
            if is_sidecar(pod, wanted.name):
                self._sidecar(statuses[wanted.name])
            else:
                self._init(statuses[wanted.name])
        for wanted in pod.spec.containers:
            self._main(statuses[wanted.name])

    def _init(self, status: ContainerStatus) -> None:
        now, last = status.state, status.last_state
        ended = (now and now.terminated) or (now and now.waiting and last and last.terminated)
        self.pending_init += not ended

    def _sidecar(self, status: ContainerStatus) -> None:
        now, last = status.state, status.last_state
        if now and now.running:
            self.running += 1
            self.pending_sidecars += not status.started
        elif not (now and now.terminated) and not (last and last.terminated):
            self.pending_sidecars += 1
            self.waiting += 1

    def _main(self, status: ContainerStatus) -> None:
        now, last = status.state, status.last_state
        if now and now.running:
            self.running += 1
        elif (now and now.terminated) or (last and last.terminated):
            self.stopped += 1
        else:
            self.waiting += 1


def _more(pod: Pod, observed: Observed, ending: Ending | None, phase: str) -> Sequence[PodCondition]:
    more = list(observed.resize)
    if could_restart_all(pod):
        more.append(all_restarting(phase, holds=observed.restarting_all))
    if ending is not None and ending.disruption:
        more.append(condition(DISRUPTION, True, ending.disruption, ending.disruption_message or ending.message))
    return more


def _rejected(pod: Pod, ending: Ending) -> PodStatus:
    """A pod that the node did not admit never had containers, addresses or conditions here."""
    kept = tuple(each for each in pod.status.conditions if each.type == SCHEDULED or each.type not in OWNED)
    return replace(
        pod.status,
        phase="Failed",
        reason=ending.reason,
        message=f"Pod was rejected: {ending.message}",
        conditions=kept,
        qos_class=pod.status.qos_class or qos_class(pod.spec),
        observed_generation=pod.metadata.generation or None,
    )
