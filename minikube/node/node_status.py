"""What the node says of itself: what the machine is, read once, and its status, a pure function of what is seen."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from minikube import KUBERNETES_VERSION, __version__
from minikube.api import time
from minikube.api.core_v1 import (
    ContainerImage,
    DaemonEndpoint,
    NodeAddress,
    NodeCondition,
    NodeDaemonEndpoints,
    NodeFeatures,
    NodeRuntimeHandler,
    NodeRuntimeHandlerFeatures,
    NodeStatus,
    NodeSystemInfo,
)
from minikube.node.devices.base import Supply
from minikube.node.runtime.base import Image, RuntimeInfo
from minikube.node.upkeep.capacity import allocatable_of, capacity_of, huge_pages, parse_reserved
from minikube.node.upkeep.thresholds import parse_thresholds
from minikube.settings import Settings

FINE = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
PRESSED = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}
REACHABLE, BEHIND_NAT = "PodNetworkReachable", "BehindNAT"
"""A condition that only a node has whose pods are cut off; it keeps no pods away."""
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


class Machine:
    """What the machine says of itself, read once."""

    def __init__(self) -> None:
        self.cpus = os.cpu_count() or 1
        self.memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.architecture = MACHINES.get(platform.machine(), platform.machine())
        self.huge_pages = huge_pages()
        self.kernel = platform.release()
        self.boot_id = _read("/proc/sys/kernel/random/boot_id")
        self.machine_id = _read("/etc/machine-id")
        self.system_uuid = _read("/sys/class/dmi/id/product_uuid") or self.machine_id
        release = dict(line.split("=", 1) for line in _read("/etc/os-release").splitlines() if "=" in line)
        self.os_image = release.get("PRETTY_NAME", "Linux").strip('"')


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def node_status(
    old: NodeStatus,
    machine: Machine,
    info: RuntimeInfo | None,
    images: Sequence[Image],
    settings: Settings,
    name: str,
    ips: Sequence[str],
    now: datetime,
    disk: int = 0,
    pressure: frozenset[str] = frozenset(),
    devices: Mapping[str, Supply] = {},
    *,
    trouble: str = "",
    shutting_down: bool = False,
    apart: str = "",
) -> NodeStatus:
    """Pure. `info` None: the runtime does not answer; `devices` are those of plugins, by resource; `trouble`: why
    no pod can be run; `apart`: why other nodes' pods cannot be reached. Heartbeat times are left to the caller's
    write."""
    capacity = capacity_of(machine.cpus, machine.memory, disk, settings.max_pods, machine.huge_pages, old.capacity)
    capacity = {**capacity, **{name: str(each.capacity) for name, each in devices.items()}}
    reserved = [parse_reserved(text) for text in (settings.kube_reserved, settings.system_reserved)]
    allocatable = allocatable_of(capacity, reserved, parse_thresholds(settings.eviction_hard))
    return replace(
        old,
        addresses=_addresses(ips, settings.node_external_ip, name),
        capacity=capacity,
        allocatable={**allocatable, **{name: str(each.allocatable) for name, each in devices.items()}},
        conditions=_conditions(
            old.conditions, _not_ready(info, trouble, shutting_down=shutting_down), pressure, apart, now
        ),
        daemon_endpoints=NodeDaemonEndpoints(kubelet_endpoint=DaemonEndpoint(port=settings.kubelet_port)),
        images=tuple(
            ContainerImage(names=each.digests + each.tags, size_bytes=each.size)
            for each in sorted(images, key=lambda image: -image.size)[:50]
        ),
        runtime_handlers=_handlers(info) if info else old.runtime_handlers,
        features=NodeFeatures(supplemental_groups_policy=info.strict_groups) if info else old.features,
        node_info=NodeSystemInfo(
            architecture=machine.architecture,
            boot_id=machine.boot_id,
            container_runtime_version=f"{info.name}://{info.version}" if info else "unknown",
            kernel_version=machine.kernel,
            kube_proxy_version="",
            kubelet_version=f"{KUBERNETES_VERSION}+minikube{__version__}",
            machine_id=machine.machine_id,
            operating_system="linux",
            os_image=machine.os_image,
            system_uuid=machine.system_uuid,
        ),
    )


def _handlers(info: RuntimeInfo) -> tuple[NodeRuntimeHandler, ...]:
    """In the order of their names, as upstream has them."""
    return tuple(
        NodeRuntimeHandler(
            name=each.name,
            features=NodeRuntimeHandlerFeatures(
                recursive_read_only_mounts=each.recursive_read_only, user_namespaces=each.user_namespaces
            ),
        )
        for each in sorted(info.handlers, key=lambda handler: handler.name)
    )


def _not_ready(info: RuntimeInfo | None, trouble: str, *, shutting_down: bool) -> str:
    """Why the node is not ready; several reasons as Go's errors are put together."""
    why = []
    if info is None or not info.ready:
        why.append(info.message if info is not None and info.message else "container runtime is down")
    if trouble:
        why.append(trouble)
    if shutting_down:
        why.append("node is shutting down")
    return why[0] if len(why) == 1 else f"[{', '.join(why)}]" if why else ""


def _conditions(
    old: Sequence[NodeCondition], why: str, pressure: frozenset[str], apart: str, now: datetime
) -> tuple[NodeCondition, ...]:
    """Other people's conditions as they are, then ours; a condition that stays keeps its transition time."""
    wanted = [
        (type, "True", *PRESSED[type]) if type in pressure else (type, "False", reason, message)
        for type, reason, message in FINE
    ]
    if why:
        wanted.append(("Ready", "False", "KubeletNotReady", why))
    else:
        wanted.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    if apart:
        wanted.append((REACHABLE, "False", BEHIND_NAT, apart))
    before = {each.type: each for each in old}
    ours = tuple(
        NodeCondition(
            type=type,
            status=status,
            reason=reason,
            message=message,
            last_heartbeat_time=time.seconds(now),
            last_transition_time=before[type].last_transition_time
            if type in before and before[type].status == status
            else time.seconds(now),
        )
        for type, status, reason, message in wanted
    )
    return tuple(each for each in old if each.type not in {REACHABLE, *(one.type for one in ours)}) + ours


def _addresses(ips: Sequence[str], external: str, name: str) -> tuple[NodeAddress, ...]:
    found = [NodeAddress(type="InternalIP", address=ip) for ip in ips]
    if external:
        found.append(NodeAddress(type="ExternalIP", address=external))
    return (*found, NodeAddress(type="Hostname", address=name))


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch from one to the other: what is gone is null, what others change meanwhile is left alone."""
    patch: dict[str, Any] = {}
    for name in old.keys() | new.keys():
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            patch |= {name: inner} if (inner := difference(before, after)) else {}
        elif before != after:
            patch[name] = after
    return patch


def without_heartbeats(status: NodeStatus) -> NodeStatus:
    conditions = tuple(replace(each, last_heartbeat_time=None) for each in status.conditions)
    return replace(status, conditions=conditions)
