"""What to do next for one pod: a pure function of the pod, what is seen of it, and the time.

Rules of the kubelet's kuberuntime computePodActions: sandbox first, init containers in order, sidecars stay,
restarts back off, a pod that ends is stopped main containers first and sidecars in reverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod
from minikube.node.pod.observed import Observed
from minikube.node.pod.pods import (
    HASH_ANNOTATION,
    LEAST_GRACE,
    deadline_of,
    grace_of,
    hash_of,
    is_init,
    is_sidecar,
    is_terminal,
    overdue,
    probe_grace,
    sidecars_of,
)
from minikube.node.pod.restarts import runs_again, tries_again, wait_left
from minikube.node.runtime.base import Container, Sandbox, State

ALIVE = (State.RUNNING, State.UNKNOWN)


class StartSandbox(msgspec.Struct, frozen=True):
    attempt: int


class AttachNetwork(msgspec.Struct, frozen=True):
    """Wire a sandbox that was made but, by a crash in between, not connected."""

    sandbox: str


class StartContainer(msgspec.Struct, frozen=True):
    name: str
    attempt: int


class Kill(msgspec.Struct, frozen=True):
    """Stop one container: preStop, the stop signal, SIGKILL when `grace` seconds are over."""

    container: str
    name: str
    grace: float
    why: str = ""
    """The text of its Killing event; empty: the usual one."""
    followed: bool = False
    """Whether another run follows, whatever the exit code."""


class Terminate(msgspec.Struct, frozen=True):
    """Stop containers: every preStop hook at once, then wave after wave, the containers of a wave together."""

    waves: tuple[tuple[Kill, ...], ...]
    hooks: bool = True
    """Whether preStop hooks run."""


class UpdateResources(msgspec.Struct, frozen=True):
    """Give a running container what is allocated to it now."""

    container: str


class StopSandbox(msgspec.Struct, frozen=True):
    sandbox: str


class Discard(msgspec.Struct, frozen=True):
    """Remove what never ran or is of no more use: a container that was created only."""

    container: str


class DiscardSandbox(msgspec.Struct, frozen=True):
    sandbox: str


class RemovePod(msgspec.Struct, frozen=True):
    """Nothing runs any more: forget its containers and files, then delete the object."""


class Wait(msgspec.Struct, frozen=True):
    seconds: float


Action = (
    StartSandbox
    | AttachNetwork
    | StartContainer
    | Kill
    | Terminate
    | UpdateResources
    | StopSandbox
    | Discard
    | DiscardSandbox
    | RemovePod
    | Wait
)


def decide(pod: Pod, observed: Observed, now: datetime) -> list[Action]:
    """What can be done now; a Wait says when to look again without being told."""
    if pod.metadata.deletion_timestamp is not None:
        left = ((observed.gone_by or pod.metadata.deletion_timestamp) - now).total_seconds()
        return _stop(pod, observed, max(LEAST_GRACE, left)) or [RemovePod()]
    if observed.ending is not None:
        own = observed.ending.grace
        return _stop(pod, observed, grace_of(pod) if own is None else own)
    if is_over(pod, observed, now):
        return _stop(pod, observed, grace_of(pod))
    actions = list(_live(pod, observed, now))
    if (deadline := deadline_of(pod)) is not None:
        actions.append(Wait(max(0.1, (deadline - now).total_seconds())))
    return actions


def is_over(pod: Pod, observed: Observed, now: datetime) -> bool:
    """Nothing of this pod starts any more, whatever the reason; some of it may still run."""
    if pod.metadata.deletion_timestamp is not None or observed.ending is not None:
        return True
    return overdue(pod, now) or is_terminal(pod) or finished(pod, observed)


def finished(pod: Pod, observed: Observed) -> bool:
    """Nothing of this pod will run again: all main containers are over, or an init container failed for good."""
    for wanted in pod.spec.init_containers:
        latest = observed.latest(wanted.name)
        if latest is None or latest.state is not State.EXITED or is_sidecar(pod, wanted.name):
            continue
        if latest.exit_code != 0 and not runs_again(pod, wanted, latest, observed):
            return True
    return all(_over(pod, wanted, observed) for wanted in pod.spec.containers)


def _over(pod: Pod, wanted: Wanted, observed: Observed) -> bool:
    latest = observed.latest(wanted.name)
    if latest is None or latest.state is not State.EXITED:
        return False
    return not runs_again(pod, wanted, latest, observed)


def _stop(pod: Pod, observed: Observed, grace: float) -> list[Action]:
    alive = [each for each in observed.containers if each.state in ALIVE]
    sidecars = sidecars_of(pod)
    order = [tuple(each for each in alive if each.name not in sidecars)]
    order += [tuple(each for each in alive if each.name == name) for name in reversed(sidecars)]
    waves = tuple(tuple(Kill(each.id, each.name, grace) for each in wave) for wave in order if wave)
    if waves:
        return [Terminate(waves)]
    return [StopSandbox(each.id) for each in observed.sandboxes if each.ready]


def _live(pod: Pod, observed: Observed, now: datetime) -> Iterator[Action]:
    sandbox = observed.sandbox
    astray = [
        each for each in observed.containers if each.state in ALIVE and (not sandbox or each.sandbox != sandbox.id)
    ]
    if astray:  # left by a sandbox that died: nothing may run twice
        yield Terminate((tuple(Kill(each.id, each.name, grace_of(pod)) for each in astray),))
        return
    former = [each for each in observed.containers if each.state in ALIVE and each.id in observed.renewed]
    if former:  # a rule restarts all containers: all end before the first begins
        yield Terminate((tuple(Kill(each.id, each.name, grace_of(pod)) for each in former),), hooks=False)
        return
    yield from _tidy(observed)
    if sandbox is None:
        attempt = 1 + max((each.attempt for each in observed.sandboxes), default=-1)
        yield _held(observed, "", now) or StartSandbox(attempt)
        return
    if not observed.ips and not pod.spec.host_network:
        yield AttachNetwork(sandbox.id)
        return
    for ephemeral in pod.spec.ephemeral_containers:
        if observed.latest(ephemeral.name) is None:
            yield _held(observed, ephemeral.name, now) or StartContainer(ephemeral.name, 0)
    if initialized(pod, observed):
        for wanted in pod.spec.init_containers:
            if is_sidecar(pod, wanted.name):
                yield from _one(pod, wanted, observed, sandbox, now)
    else:
        for wanted in _due_inits(pod, observed):
            yield from _one(pod, wanted, observed, sandbox, now)
        if not all(_passed(pod, each, observed) for each in pod.spec.init_containers[-1:]):
            return
    for wanted in pod.spec.containers:
        yield from _one(pod, wanted, observed, sandbox, now)


def initialized(pod: Pod, observed: Observed) -> bool:
    """Init containers are not looked at again once a main container was made in this sandbox."""
    return any(observed.here(each.name) is not None for each in pod.spec.containers)


def _due_inits(pod: Pod, observed: Observed) -> Sequence[Wanted]:
    """The init containers to look at: the one that has been reached, the next if that one has passed, and the
    sidecars before, which may fail meanwhile without holding up who comes after them."""
    inits = pod.spec.init_containers
    reached = max((place for place, each in enumerate(inits) if observed.here(each.name) is not None), default=-1)
    if reached < 0 or _passed(pod, inits[reached], observed):
        reached += 1
    return [*(each for each in inits[:reached] if is_sidecar(pod, each.name)), *inits[reached : reached + 1]]


def _tidy(observed: Observed) -> Iterator[Action]:
    """Containers that never started, and dead sandboxes that nothing belongs to."""
    for container in observed.containers:
        if container.state is State.CREATED:
            yield Discard(container.id)
    used = {each.sandbox for each in observed.containers}
    newest = max((each.attempt for each in observed.sandboxes), default=0)
    for sandbox in observed.sandboxes:
        if not sandbox.ready and sandbox.attempt < newest and sandbox.id not in used:
            yield DiscardSandbox(sandbox.id)


def _passed(pod: Pod, wanted: Wanted, observed: Observed) -> bool:
    here = observed.here(wanted.name)
    if here is None:
        return False
    if is_sidecar(pod, wanted.name):
        return here.state is State.RUNNING and here.id in observed.started
    return here.state is State.EXITED and here.exit_code == 0


def _one(pod: Pod, wanted: Wanted, observed: Observed, sandbox: Sandbox, now: datetime) -> Iterator[Action]:
    latest = observed.latest(wanted.name)
    if latest is None:
        yield _held(observed, wanted.name, now) or StartContainer(wanted.name, 0)
    elif latest.state is State.RUNNING:
        yield from _replaced(pod, wanted, latest, observed)
    elif latest.state is State.UNKNOWN:
        yield Kill(latest.id, wanted.name, LEAST_GRACE)
    elif latest.state is State.EXITED:
        again = is_init(pod, wanted.name) and latest.sandbox != sandbox.id  # a new sandbox is initialized anew
        if not again and not runs_again(pod, wanted, latest, observed):
            return
        wait = _held(observed, wanted.name, now)
        left = 0.0 if again else wait_left(latest, observed, now)
        if wait is None and left > 0:
            wait = Wait(left)
        yield wait or StartContainer(wanted.name, latest.attempt + 1)


def _replaced(pod: Pod, wanted: Wanted, latest: Container, observed: Observed) -> Iterator[Action]:
    """A running container that must not stay: another image, unhealthy, or resized by restart."""
    probe = observed.unhealthy.get(latest.id)
    if latest.annotations.get(HASH_ANNOTATION, hash_of(wanted)) != hash_of(wanted):
        why = f"Container {wanted.name} definition changed, will be restarted"
        yield Kill(latest.id, wanted.name, grace_of(pod), why, followed=True)
    elif probe is not None:
        why = f"Container {wanted.name} failed {probe} probe"
        back = tries_again(pod, wanted)
        grace = probe_grace(pod, wanted, started=probe == "liveness")
        yield Kill(latest.id, wanted.name, grace, f"{why}, will be restarted" if back else why, followed=back)
    elif latest.id in observed.to_update:
        yield UpdateResources(latest.id)
    elif latest.id in observed.to_restart:
        why = f"Container {wanted.name} resize requires restart"
        yield Kill(latest.id, wanted.name, grace_of(pod), why, followed=True)


def _held(observed: Observed, name: str, now: datetime) -> Wait | None:
    problem = observed.problems.get(name)
    if problem is None or problem.retry_at is None or problem.retry_at <= now:
        return None
    return Wait((problem.retry_at - now).total_seconds())


def lost(pod: Pod, containers: Sequence[Container], sandbox: Sandbox | None) -> Iterator[Container]:
    """Containers that the published status tells of and the runtime knows no more, as having ended.

    So neither a count nor an end is forgotten when dead containers were collected or a runtime lost its state
    (convertToAPIContainerStatuses of the kubelet: ContainerStatusUnknown, 137).
    """
    known = {each.name for each in containers}
    settled = sandbox is not None and any(each.sandbox == sandbox.id for each in containers)
    status = pod.status
    for told in (*status.init_container_statuses, *status.container_statuses, *status.ephemeral_container_statuses):
        _, _, identifier = told.container_id.partition("://")
        if told.name in known or not identifier:
            continue
        state, last = told.state, told.last_state
        ended = (state and state.terminated) or (last and not (state and state.running) and last.terminated) or None
        yield Container(
            identifier,
            sandbox.id if settled and sandbox is not None else "",
            pod.metadata.uid,
            told.name,
            told.restart_count,
            State.EXITED,
            image=told.image,
            image_id=told.image_id,
            started_at=ended.started_at if ended else None,
            finished_at=ended.finished_at if ended else None,
            exit_code=ended.exit_code if ended else 137,
            reason=ended.reason if ended else "ContainerStatusUnknown",
            message=ended.message
            if ended
            else "The container could not be located when the pod was deleted.  The container used to be Running",
        )
