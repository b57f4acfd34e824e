"""What to do next for one pod: a pure function of the pod, what the runtime shows, and the time.

Rules of the kubelet's kuberuntime computePodActions: sandbox first, init containers in order, sidecars stay,
restarts back off from 10 to 300 s, a deleted or overdue pod is stopped main containers first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod
from minikube.node.runtime.base import Container, Sandbox, State

BACKOFF_BASE, BACKOFF_LIMIT = 10.0, 300.0
FORGIVEN_AFTER = 600.0
"""A container that ran this long starts again without waiting."""
DEFAULT_GRACE = 30


class Problem(msgspec.Struct, frozen=True):
    """Why a container is not there yet, and when to try again."""

    reason: str
    message: str
    retry_at: datetime | None = None


class Observed(msgspec.Struct, frozen=True):
    """The runtime's and the probes' view of one pod; containers of all attempts."""

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[Container, ...] = ()
    ips: tuple[str, ...] = ()
    started: frozenset[str] = frozenset()
    """Ids of containers whose startup probe (if any) has passed and whose postStart is over."""
    ready: frozenset[str] = frozenset()
    unhealthy: Mapping[str, str] = {}
    """Container id -> why it has to be restarted (liveness or startup probe)."""
    problems: Mapping[str, Problem] = {}
    """By container name; "" is the sandbox."""
    evicted: str = ""
    """Why the pod is to be stopped although it was not deleted."""

    @property
    def sandbox(self) -> Sandbox | None:
        newest = max(self.sandboxes, key=lambda each: each.attempt, default=None)
        return newest if newest is not None and newest.ready else None

    def latest(self, name: str) -> Container | None:
        return max((each for each in self.containers if each.name == name), key=lambda c: c.attempt, default=None)


class StartSandbox(msgspec.Struct, frozen=True):
    attempt: int


class StartContainer(msgspec.Struct, frozen=True):
    name: str
    attempt: int


class Kill(msgspec.Struct, frozen=True):
    """Stop one container: preStop, the stop signal, SIGKILL when `grace` seconds are over."""

    container: str
    name: str
    grace: float
    why: str = ""


class KillAll(msgspec.Struct, frozen=True):
    """At the same time."""

    kills: tuple[Kill, ...]


class StopSandbox(msgspec.Struct, frozen=True):
    sandbox: str


class RemovePod(msgspec.Struct, frozen=True):
    """Nothing runs any more: forget its containers and files, then delete the object."""


class Wait(msgspec.Struct, frozen=True):
    seconds: float


Action = StartSandbox | StartContainer | Kill | KillAll | StopSandbox | RemovePod | Wait


def decide(pod: Pod, observed: Observed, now: datetime) -> list[Action]:
    """What can be done now; a Wait says when to look again without being told."""
    if pod.metadata.deletion_timestamp is not None:
        left = (pod.metadata.deletion_timestamp - now).total_seconds()
        grace = 0.0 if pod.metadata.deletion_grace_period_seconds == 0 else max(1.0, left)
        return _stop(pod, observed, grace) or [RemovePod()]
    if overdue(pod, now) or observed.evicted or pod.status.phase in ("Failed", "Succeeded"):
        return _stop(pod, observed, grace_of(pod))
    if finished(pod, observed):
        return _stop(pod, observed, grace_of(pod))
    actions = list(_live(pod, observed, now))
    if (deadline := deadline_of(pod)) is not None:
        actions.append(Wait(max(0.1, (deadline - now).total_seconds())))
    return actions


def _stop(pod: Pod, observed: Observed, grace: float) -> list[Action]:
    running = [each for each in observed.containers if each.state is not State.EXITED]
    sidecars = [each.name for each in pod.spec.init_containers if is_sidecar(each)]
    main = tuple(Kill(each.id, each.name, grace) for each in running if each.name not in sidecars)
    if main:
        return [KillAll(main)]
    for name in reversed(sidecars):
        for each in running:
            if each.name == name:
                return [KillAll((Kill(each.id, name, grace),))]
    return [StopSandbox(each.id) for each in observed.sandboxes if each.ready]


def _live(pod: Pod, observed: Observed, now: datetime) -> Iterator[Action]:
    sandbox = observed.sandbox
    if sandbox is None:
        leftover = [each for each in observed.containers if each.state is State.RUNNING]
        if leftover:
            yield KillAll(tuple(Kill(each.id, each.name, grace_of(pod)) for each in leftover))
            return
        if (wait := _held(observed, "", now)) is not None:
            yield wait
            return
        yield StartSandbox(1 + max((each.attempt for each in observed.sandboxes), default=-1))
        return
    for wanted in pod.spec.init_containers:
        yield from _one(pod, wanted, observed, sandbox, now)
        if not _passed(wanted, observed, sandbox):
            return
    for wanted in pod.spec.containers:
        yield from _one(pod, wanted, observed, sandbox, now)


def _passed(wanted: Wanted, observed: Observed, sandbox: Sandbox) -> bool:
    latest = observed.latest(wanted.name)
    if latest is None or latest.sandbox != sandbox.id:
        return False
    if is_sidecar(wanted):
        return latest.state is State.RUNNING and latest.id in observed.started
    return latest.state is State.EXITED and latest.exit_code == 0


def _one(pod: Pod, wanted: Wanted, observed: Observed, sandbox: Sandbox, now: datetime) -> Iterator[Action]:
    latest = observed.latest(wanted.name)
    if latest is None:
        yield _held(observed, wanted.name, now) or StartContainer(wanted.name, 0)
    elif latest.state is State.RUNNING:
        if latest.id in observed.unhealthy:
            yield Kill(
                latest.id, wanted.name, probe_grace(pod, wanted, latest, observed), observed.unhealthy[latest.id]
            )
    elif latest.state is State.CREATED:
        yield Kill(latest.id, wanted.name, 0.0)
    elif latest.sandbox != sandbox.id or restarts(pod, wanted, latest):
        wait = _held(observed, wanted.name, now)
        if wait is None and latest.sandbox == sandbox.id:
            left = backoff_left(latest, now)
            wait = Wait(left) if left > 0 else None
        yield wait or StartContainer(wanted.name, latest.attempt + 1)


def _held(observed: Observed, name: str, now: datetime) -> Wait | None:
    problem = observed.problems.get(name)
    if problem is None or problem.retry_at is None or problem.retry_at <= now:
        return None
    return Wait((problem.retry_at - now).total_seconds())


def is_sidecar(wanted: Wanted) -> bool:
    return wanted.restart_policy == "Always"


def restarts(pod: Pod, wanted: Wanted, latest: Container) -> bool:
    """Whether this exited container is to run again."""
    init = any(each.name == wanted.name for each in pod.spec.init_containers)
    policy = wanted.restart_policy or pod.spec.restart_policy or "Always"
    if init and not is_sidecar(wanted):
        return latest.exit_code != 0 and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and latest.exit_code != 0)


def backoff_delay(latest: Container) -> float:
    """0 before the first restart, then 10, 20 … 300 seconds."""
    if latest.attempt == 0 or latest.finished_at is None:
        return 0.0
    if latest.started_at and (latest.finished_at - latest.started_at).total_seconds() >= FORGIVEN_AFTER:
        return 0.0
    return min(BACKOFF_LIMIT, BACKOFF_BASE * 2.0 ** min(latest.attempt - 1, 10))


def backoff_left(latest: Container, now: datetime) -> float:
    if latest.finished_at is None:
        return 0.0
    return (latest.finished_at + timedelta(seconds=backoff_delay(latest)) - now).total_seconds()


def finished(pod: Pod, observed: Observed) -> bool:
    """Nothing of this pod will run again: all main containers are over, or an init container failed for good."""
    for wanted in pod.spec.init_containers:
        latest = observed.latest(wanted.name)
        failed = latest is not None and latest.state is State.EXITED and latest.exit_code != 0
        if failed and latest is not None and not is_sidecar(wanted) and not restarts(pod, wanted, latest):
            return True
    return all(_over(pod, wanted, observed) for wanted in pod.spec.containers)


def _over(pod: Pod, wanted: Wanted, observed: Observed) -> bool:
    latest = observed.latest(wanted.name)
    return latest is not None and latest.state is State.EXITED and not restarts(pod, wanted, latest)


def grace_of(pod: Pod) -> float:
    given = pod.metadata.deletion_grace_period_seconds
    if given is None:
        given = pod.spec.termination_grace_period_seconds
    return float(DEFAULT_GRACE if given is None else given)


def probe_grace(pod: Pod, wanted: Wanted, latest: Container, observed: Observed) -> float:
    probe = wanted.liveness_probe if latest.id in observed.started else wanted.startup_probe
    own = probe.termination_grace_period_seconds if probe is not None else None
    return grace_of(pod) if own is None else float(own)


def deadline_of(pod: Pod) -> datetime | None:
    if pod.spec.active_deadline_seconds is None or pod.status.start_time is None:
        return None
    return pod.status.start_time + timedelta(seconds=pod.spec.active_deadline_seconds)


def overdue(pod: Pod, now: datetime) -> bool:
    deadline = deadline_of(pod)
    return deadline is not None and now >= deadline


def containers_of(pod: Pod) -> Sequence[Wanted]:
    return (*pod.spec.init_containers, *pod.spec.containers)
