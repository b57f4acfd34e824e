"""This node's own objects: registration, status (written on change or every 5 minutes), heartbeat lease."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from minikube import __version__
from minikube.api import time
from minikube.api.coordination_v1 import Lease, LeaseSpec
from minikube.api.core_v1 import (
    ContainerImage,
    DaemonEndpoint,
    Node,
    NodeAddress,
    NodeCondition,
    NodeDaemonEndpoints,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
    Taint,
)
from minikube.api.meta import ObjectMeta, OwnerReference, to_dict
from minikube.api.quantity import parse
from minikube.client.base import Client
from minikube.errors import AlreadyExists, ApiError, NotFound
from minikube.kit.clock import Clock
from minikube.node.capacity import allocatable_of, capacity_of, huge_pages, parse_reserved
from minikube.node.runtime.base import Image, RuntimeInfo
from minikube.node.thresholds import parse_thresholds
from minikube.settings import Settings

KUBERNETES_VERSION = "v1.37.0"
LEASE_NAMESPACE, LEASE_SECONDS, RENEW_EVERY = "kube-node-lease", 40, 10.0
REPORT_EVERY = 300.0
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
) -> NodeStatus:
    """Pure. `info` None: the runtime does not answer. Heartbeat times are left to the caller's write."""
    capacity = capacity_of(machine.cpus, machine.memory, disk, settings.max_pods, machine.huge_pages, old.capacity)
    reserved = [parse_reserved(text) for text in (settings.kube_reserved, settings.system_reserved)]
    wanted = [
        (type, "True", *PRESSED[type]) if type in pressure else (type, "False", reason, message)
        for type, reason, message in FINE
    ]
    if info is None or not info.ready:
        why = info.message if info is not None and info.message else "container runtime is down"
        wanted.append(("Ready", "False", "KubeletNotReady", why))
    else:
        wanted.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    before = {each.type: each for each in old.conditions}
    conditions = tuple(
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
    others = tuple(each for each in old.conditions if each.type not in {each[0] for each in wanted})
    addresses = [NodeAddress(type="InternalIP", address=ip) for ip in ips]
    if settings.node_external_ip:
        addresses.append(NodeAddress(type="ExternalIP", address=settings.node_external_ip))
    addresses.append(NodeAddress(type="Hostname", address=name))
    return replace(
        old,
        addresses=tuple(addresses),
        capacity=capacity,
        allocatable=allocatable_of(capacity, reserved, parse_thresholds(settings.eviction_hard)),
        conditions=others + conditions,
        daemon_endpoints=NodeDaemonEndpoints(kubelet_endpoint=DaemonEndpoint(port=settings.kubelet_port)),
        images=tuple(
            ContainerImage(names=each.digests + each.tags, size_bytes=each.size)
            for each in sorted(images, key=lambda image: -image.size)[:50]
        ),
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


def without_heartbeats(status: NodeStatus) -> NodeStatus:
    conditions = tuple(replace(each, last_heartbeat_time=None) for each in status.conditions)
    return replace(status, conditions=conditions)


class Registration:
    """Keeps Node and Lease true. `node` is the newest Node that this process wrote or read."""

    def __init__(self, client: Client, settings: Settings, clock: Clock, name: str, ips: Sequence[str]) -> None:
        self._client, self._settings, self._clock = client, settings, clock
        self._name, self._ips = name, ips
        self.machine = Machine()
        self._reported = float("-inf")

    def for_pods(self) -> tuple[float, int]:
        """Cores and bytes of memory that pods may use together: what is not reserved for others."""
        machine, settings = self.machine, self._settings
        capacity = capacity_of(machine.cpus, machine.memory, 0, 0, machine.huge_pages, {})
        reserved = [parse_reserved(text) for text in (settings.kube_reserved, settings.system_reserved)]
        left = allocatable_of(capacity, reserved, ())
        return float(parse(left["cpu"])), int(parse(left["memory"]))

    async def register(self) -> Node:
        """The Node object, made if it is not there; our own labels are kept true."""
        labels = {
            "beta.kubernetes.io/arch": self.machine.architecture,
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": self.machine.architecture,
            "kubernetes.io/hostname": self._name,
            "kubernetes.io/os": "linux",
        }
        for text in self._settings.node_label:
            key, _, value = text.partition("=")
            labels[key] = value
        taints = tuple(_taint(text) for text in self._settings.node_taint)
        node = Node(metadata=ObjectMeta(name=self._name, labels=labels), spec=NodeSpec(taints=taints))
        try:
            return await self._client.create(node)
        except AlreadyExists:
            found = await self._client.get(Node, self._name)
        if all(found.metadata.labels.get(key) == value for key, value in labels.items()):
            return found
        return await self._client.patch(Node, self._name, patch={"metadata": {"labels": labels}})

    async def report(
        self, info: RuntimeInfo | None, images: Sequence[Image], pressure: frozenset[str] = frozenset()
    ) -> Node:
        """Write the status if it has changed or the last report is old."""
        try:
            node = await self._client.get(Node, self._name)
        except NotFound:
            node = await self.register()
        disk = await asyncio.to_thread(_disk, self._settings.data_dir)
        now = self._clock.now()
        status = node_status(
            node.status, self.machine, info, images, self._settings, self._name, self._ips, now, disk, pressure
        )
        old = self._clock.monotonic() - self._reported >= REPORT_EVERY
        if not old and without_heartbeats(status) == without_heartbeats(node.status):
            return node
        written = await self._client.patch(
            Node, self._name, patch={"status": to_dict(status)}, subresource="status"
        )
        self._reported = self._clock.monotonic()
        return written

    async def heartbeat(self) -> None:
        """Renew the lease every 10 s until cancelled; errors are for the next try."""
        pause = 1.0
        while True:
            try:
                await self._renew()
            except (ApiError, OSError):
                await self._clock.sleep(pause)
                pause = min(RENEW_EVERY, 2 * pause)
                continue
            pause = 1.0
            await self._clock.sleep(RENEW_EVERY)

    async def _renew(self) -> None:
        now = time.micro(self._clock.now())
        try:
            await self._client.patch(
                Lease,
                self._name,
                LEASE_NAMESPACE,
                patch={"spec": {"renewTime": time.micro_text(now), "holderIdentity": self._name}},
            )
        except NotFound:
            node = await self._client.get(Node, self._name)
            owner = OwnerReference(api_version="v1", kind="Node", name=self._name, uid=node.metadata.uid)
            meta = ObjectMeta(name=self._name, namespace=LEASE_NAMESPACE, owner_references=(owner,))
            spec = LeaseSpec(holder_identity=self._name, lease_duration_seconds=LEASE_SECONDS, renew_time=now)
            await self._client.create(Lease(metadata=meta, spec=spec))


def _disk(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).total


def _taint(text: str) -> Taint:
    """key[=value]:Effect"""
    rest, _, effect = text.rpartition(":")
    key, _, value = rest.partition("=")
    return Taint(key=key, value=value, effect=effect)
