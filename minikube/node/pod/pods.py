"""What a pod's spec says about its life: which containers it has, of which sort, and how long it may take."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from minikube.api.core_v1 import Container, EphemeralContainer, Pod
from minikube.api.well_known import MIRROR_POD

DEFAULT_GRACE = 30
LEAST_GRACE = 2.0
"""Seconds between stop signal and SIGKILL that every container gets (kuberuntime minimumGracePeriodInSeconds)."""
SYSTEM_CRITICAL = 2_000_000_000
SIDECAR_POLICY = "Always"
HASH_ANNOTATION = "io.kubernetes.container.hash"
IMAGES_ANNOTATION = "minikube.io/container.image-volumes"
"""Of a container of the runtime: volume -> the image that it shows, in JSON."""
SOURCE_ANNOTATION = "kubernetes.io/config.source"
CONFIG_HASH_ANNOTATION = "kubernetes.io/config.hash"


def containers_of(pod: Pod) -> Sequence[Container]:
    """Init containers first; without ephemeral ones."""
    return (*pod.spec.init_containers, *pod.spec.containers)


def every_container(pod: Pod) -> Sequence[Container]:
    """Init, main and ephemeral containers; names are unique among them."""
    return (*containers_of(pod), *(as_container(each) for each in pod.spec.ephemeral_containers))


def as_container(ephemeral: EphemeralContainer) -> Container:
    """An ephemeral container never restarts and is never probed; otherwise it is one like others."""
    fields = {name: getattr(ephemeral, name) for name in Container.__struct_fields__}
    return Container(**{**fields, "restart_policy": "Never", "restart_policy_rules": ()})


def container_named(pod: Pod, name: str) -> Container | None:
    return next((each for each in every_container(pod) if each.name == name), None)


def field_of(pod: Pod, name: str) -> str:
    """Where in the pod a container is, as events say it."""
    kind = "initContainers" if is_init(pod, name) else "containers"
    if is_ephemeral(pod, name):
        kind = "ephemeralContainers"
    return f"spec.{kind}{{{name}}}"


def is_init(pod: Pod, name: str) -> bool:
    return any(each.name == name for each in pod.spec.init_containers)


def is_ephemeral(pod: Pod, name: str) -> bool:
    return any(each.name == name for each in pod.spec.ephemeral_containers)


def is_sidecar(pod: Pod, name: str) -> bool:
    """A restartable init container."""
    return any(each.name == name and each.restart_policy == SIDECAR_POLICY for each in pod.spec.init_containers)


def sidecars_of(pod: Pod) -> Sequence[str]:
    """In order of their start."""
    return [each.name for each in pod.spec.init_containers if each.restart_policy == SIDECAR_POLICY]


def full_name(pod: Pod) -> tuple[str, str]:
    """Namespace and name."""
    return pod.metadata.namespace, pod.metadata.name


def is_static(pod: Pod) -> bool:
    """From the node's own manifests; the API knows only its mirror."""
    return pod.metadata.annotations.get(SOURCE_ANNOTATION, "api") != "api"


def is_mirror(pod: Pod) -> bool:
    return MIRROR_POD in pod.metadata.annotations


def is_critical(pod: Pod) -> bool:
    """Static pods, and those of priority system-cluster-critical or above (kubetypes.IsCriticalPod)."""
    return is_static(pod) or is_mirror(pod) or (pod.spec.priority or 0) >= SYSTEM_CRITICAL


def is_terminal(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def hash_of(wanted: Container) -> str:
    """Changes when a running container has to be replaced: only the image of a pod's container may change."""
    return f"{zlib.crc32(msgspec.json.encode((wanted.name, wanted.image))):08x}"


def grace_of(pod: Pod) -> float:
    """Seconds; a negative period is one second."""
    given = pod.metadata.deletion_grace_period_seconds
    if given is None:
        given = pod.spec.termination_grace_period_seconds
    if given is not None and given < 0:
        return 1.0
    return float(DEFAULT_GRACE if given is None else given)


def probe_grace(pod: Pod, wanted: Container, *, started: bool) -> float:
    """A probe's own grace period wins over the pod's, unless the pod is being deleted."""
    probe = wanted.liveness_probe if started else wanted.startup_probe
    own = probe.termination_grace_period_seconds if probe is not None else None
    if own is None or pod.metadata.deletion_grace_period_seconds is not None:
        return grace_of(pod)
    return float(own)


def deadline_of(pod: Pod) -> datetime | None:
    if pod.spec.active_deadline_seconds is None or pod.status.start_time is None:
        return None
    return pod.status.start_time + timedelta(seconds=pod.spec.active_deadline_seconds)


def overdue(pod: Pod, now: datetime) -> bool:
    deadline = deadline_of(pod)
    return deadline is not None and now >= deadline
