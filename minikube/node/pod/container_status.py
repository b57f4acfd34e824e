"""One container's status as the kubelet shows it (convertToAPIContainerStatuses): pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from minikube.api import time
from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    ContainerUser,
    ImageVolumeStatus,
    LinuxContainerUser,
    Pod,
    ResourceRequirements,
    VolumeMountStatus,
    VolumeStatus,
)
from minikube.api.meta import Quantity
from minikube.node.pod.observed import Observed
from minikube.node.pod.pods import IMAGES_ANNOTATION, is_ephemeral, is_init, is_sidecar
from minikube.node.pod.restarts import runs_again, wait_left
from minikube.node.runtime.base import Container, State, User

UNKNOWN_END = ContainerStateTerminated(
    reason="ContainerStatusUnknown",
    message="The container could not be located when the pod was terminated",
    exit_code=137,
)


def container_status(
    pod: Pod, wanted: Wanted, observed: Observed, now: datetime, scheme: str, *, over: bool
) -> ContainerStatus:
    """`scheme` is the runtime's name before container ids; `over`: nothing of the pod starts again."""
    latest = observed.latest(wanted.name)
    shown = latest
    if latest is not None and (latest.state is State.CREATED or latest.id in observed.hooking):
        shown = observed.previous(wanted.name)
    if shown is None:
        return ContainerStatus(
            name=wanted.name,
            image=wanted.image,
            state=_not_there(pod, wanted, observed),
            last_state=ContainerState(),
            started=False,
            volume_mounts=_mounts(wanted, observed, None),
        )
    state, last = _states(pod, wanted, shown, observed, now, scheme, over=over)
    running = shown.state is State.RUNNING
    is_started = running and shown.id in observed.started
    probed = not is_ephemeral(pod, wanted.name)
    ready = probed and is_started and shown.id in observed.ready
    if is_init(pod, wanted.name) and not is_sidecar(pod, wanted.name):
        ready = shown.state is State.EXITED and shown.exit_code == 0
    allocated = observed.allocated.get(wanted.name, wanted.resources)
    actual = observed.actual.get(shown.id, allocated) if running else allocated
    return ContainerStatus(
        name=wanted.name,
        image=shown.image or wanted.image,
        image_id=shown.image_id,
        container_id=f"{scheme}://{shown.id}",
        ready=ready,
        started=is_started if probed else None,
        restart_count=shown.attempt,
        state=state,
        last_state=last,
        stop_signal=shown.stop_signal or (wanted.lifecycle.stop_signal if wanted.lifecycle is not None else ""),
        user=_user(shown.user),
        allocated_resources=_requests(allocated),
        allocated_resources_status=observed.devices.get(wanted.name, ()),
        resources=actual,
        volume_mounts=_mounts(wanted, observed, shown),
    )


def settled(
    pod: Pod, inits: Sequence[ContainerStatus], mains: Sequence[ContainerStatus]
) -> tuple[tuple[ContainerStatus, ...], tuple[ContainerStatus, ...]]:
    """Statuses of init and main containers once nothing of the pod runs: those that are to have begun have ended.

    What never began while init containers were at work is left as it is (TerminatePod of the kubelet).
    """
    begun = [status for status in inits if _has_begun(status)]
    through = 1 + max((inits.index(status) for status in begun), default=0)
    inits = (*map(_ended, inits[:through]), *inits[through:])
    if not inits or _completed(inits[-1]) or any(_has_begun(status) for status in mains):
        mains = tuple(map(_ended, mains))
    return tuple(inits), tuple(mains)


def _has_begun(status: ContainerStatus) -> bool:
    state, last = status.state, status.last_state
    return bool(state and not state.waiting) or bool(last and last.terminated)


def _completed(status: ContainerStatus) -> bool:
    ends = [state.terminated for state in (status.state, status.last_state) if state and state.terminated]
    return any(end.exit_code == 0 for end in ends)


def _ended(status: ContainerStatus) -> ContainerStatus:
    if status.state is not None and status.state.terminated is not None:
        return status
    return replace(status, state=ContainerState(terminated=UNKNOWN_END))


def _user(user: User | None) -> ContainerUser | None:
    if user is None:
        return None
    groups = user.supplemental_groups
    return ContainerUser(linux=LinuxContainerUser(uid=user.uid, gid=user.gid, supplemental_groups=groups))


def _states(
    pod: Pod, wanted: Wanted, shown: Container, observed: Observed, now: datetime, scheme: str, *, over: bool
) -> tuple[ContainerState, ContainerState]:
    """state and lastState. What has ended and will start again is Waiting, its end the last state.

    A back-off is told before what the last try met (kuberuntime asks for it before it pulls, creates or starts).
    The end of a run that we ended for another to follow is never its state: of a pod that may not restart its
    containers the API would take it for the last word (ValidateContainerStateTransition).
    """
    earlier = [each for each in observed.containers if each.name == wanted.name and each.attempt < shown.attempt]
    previous = max(earlier, key=lambda each: each.attempt, default=None)
    last = ContainerState(terminated=terminated(previous, scheme)) if previous is not None else ContainerState()
    if shown.state is State.RUNNING:
        return ContainerState(running=ContainerStateRunning(started_at=_seconds(shown.started_at))), last
    if shown.state is not State.EXITED:
        return _waiting("ContainerStatusUnknown", ""), last
    ended = ContainerState(terminated=terminated(shown, scheme))
    if over or not runs_again(pod, wanted, shown, observed):
        return ended, last
    if wait_left(shown, observed, now) > 0:
        meta, delay = pod.metadata, observed.delays.get(wanted.name, 0.0)
        text = f"back-off {_duration(delay)} restarting failed container={wanted.name} "
        text += f"pod={meta.name}_{meta.namespace}({meta.uid})"
        return _waiting("CrashLoopBackOff", text), ended
    if wanted.name in observed.problems or shown.id in observed.followed:
        return _not_there(pod, wanted, observed), ended
    return ended, last


def _not_there(pod: Pod, wanted: Wanted, observed: Observed) -> ContainerState:
    problem = observed.problems.get(wanted.name)
    if problem is not None:
        return _waiting(problem.reason, problem.message)
    return _waiting("PodInitializing" if pod.spec.init_containers else "ContainerCreating", "")


def _waiting(reason: str, message: str) -> ContainerState:
    return ContainerState(waiting=ContainerStateWaiting(reason=reason, message=message))


def terminated(container: Container, scheme: str) -> ContainerStateTerminated:
    code = container.exit_code
    return ContainerStateTerminated(
        container_id=f"{scheme}://{container.id}",
        exit_code=code,
        reason=container.reason or ("Completed" if code == 0 else "Error"),
        message=container.message,
        started_at=_seconds(container.started_at or container.created_at),
        finished_at=_seconds(container.finished_at),
    )


def _requests(resources: ResourceRequirements | None) -> Mapping[str, Quantity]:
    return resources.requests if resources is not None else {}


def _mounts(wanted: Wanted, observed: Observed, shown: Container | None) -> tuple[VolumeMountStatus, ...]:
    """What came of IfPossible is said of every read-only mount, and which image a volume shows."""
    told = shown.annotations.get(IMAGES_ANNOTATION, "") if shown is not None else ""
    images: dict[str, str] = msgspec.json.decode(told) if told else {}
    able = {"Enabled", "IfPossible"} if observed.recursive_read_only else set()
    return tuple(
        VolumeMountStatus(
            name=each.name,
            mount_path=each.mount_path,
            read_only=each.read_only,
            recursive_read_only=("Enabled" if each.recursive_read_only in able else "Disabled")
            if each.read_only
            else "",
            volume_status=VolumeStatus(image=ImageVolumeStatus(image_ref=images[each.name]))
            if each.name in images
            else None,
        )
        for each in wanted.volume_mounts
    )


def _seconds(at: datetime | None) -> datetime | None:
    return time.seconds(at) if at is not None else None


def _duration(seconds: float) -> str:
    """As Go writes it: 40s, 1m20s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
