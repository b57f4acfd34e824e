"""Which run of a container is meant: pure. The refusals are worded as in k8s.io/kubernetes pkg/kubelet."""

from __future__ import annotations

from collections.abc import Sequence

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import ContainerStatus, Pod
from minikube.node.pod.observed import Observed
from minikube.node.runtime.base import Container, State

_PULLS = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


class NoLogs(Exception):
    """The message is the answer."""


def containers_of(pod: Pod) -> Sequence[Wanted]:
    """All that a pod declares, ephemeral ones too (which differ only in fields that nobody here reads)."""
    return (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)  # type: ignore[arg-type]


def logged_run(pod: Pod, observed: Observed, name: str, *, previous: bool) -> Container:
    """The run whose log `kubectl logs` shows. Raises NoLogs."""
    where = f'container "{name}" in pod "{pod.metadata.name}"'
    status = _status(pod, name)
    if status is None:
        raise NoLogs(f"{where} is not available")
    last = status.last_state.terminated if status.last_state is not None else None
    before = last.container_id if last is not None else ""
    if previous:
        if not before:
            raise NoLogs(f"previous terminated {where} not found")
        return _run(observed, before, where)
    state = status.state
    if state is not None and state.running is not None:
        return _run(observed, status.container_id, where)
    if state is not None and state.terminated is not None:
        found = state.terminated.container_id or before
    elif last is not None:
        found = before
    else:
        reason = state.waiting.reason if state is not None and state.waiting is not None else ""
        why = f": {_PULLS.get(reason, reason)}" if reason else " - no logs yet"
        raise NoLogs(f"{where} is waiting to start{why}")
    if not found:
        raise NoLogs(f"{where} is terminated")
    return _run(observed, found, where)


def running_container(observed: Observed, name: str) -> Container | None:
    """What exec and attach go to."""
    found = observed.latest(name)
    return found if found is not None and found.state is State.RUNNING else None


def ended(observed: Observed, identifier: str) -> bool:
    """Whether that run of a container is over."""
    found = next((each for each in observed.containers if each.id == identifier), None)
    return found is None or found.state is State.EXITED


def _status(pod: Pod, name: str) -> ContainerStatus | None:
    status = pod.status
    everything = (
        *status.init_container_statuses,
        *status.container_statuses,
        *status.ephemeral_container_statuses,
    )
    return next((each for each in everything if each.name == name), None)


def _run(observed: Observed, identifier: str, where: str) -> Container:
    """By the `containerd://<id>` of a status."""
    plain = identifier.rpartition("//")[2]
    found = next((each for each in observed.containers if each.id == plain), None)
    if found is None:
        raise NoLogs(f"{where} is not available")
    return found
