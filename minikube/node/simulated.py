"""A node on paper: its pods run, become ready and end without any container. Lets clusters be tried anywhere.

It tells the truth about what it is: the container runtime it reports is `simulated://`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import platform
from collections.abc import Sequence
from datetime import datetime

import msgspec

from minikube.api import time
from minikube.api.coordination_v1 import Lease, LeaseSpec
from minikube.api.core_v1 import (
    ContainerState,
    ContainerStateRunning,
    ContainerStatus,
    HostIP,
    Node,
    NodeAddress,
    NodeCondition,
    NodeStatus,
    NodeSystemInfo,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)
from minikube.api.meta import Key, ObjectMeta
from minikube.client.base import Client, Informers, PatchType
from minikube.errors import AlreadyExists, ApiError, NotFound
from minikube.kit.clock import Clock
from minikube.kit.tasks import guard
from minikube.kit.workqueue import WorkQueue
from minikube.settings import Settings

LEASES = "kube-node-lease"
RENEW_SECONDS, LEASE_SECONDS = 10.0, 40


class SimulatedNode:
    def __init__(
        self, client: Client, informers: Informers, settings: Settings, clock: Clock, address: str
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._address = address
        self._name = settings.node_name or platform.node().lower()
        self._pods = informers.of(Pod)
        self._nodes = informers.of(Node).lister
        self._queue: WorkQueue[Key] = WorkQueue()
        self._addresses: dict[str, str] = {}

    async def run(self) -> None:
        """Until cancelled."""
        await self._register()
        self._pods.add_handler(self._on_pod)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(guard("heartbeat", self._heartbeat), name="heartbeat")
                tasks.create_task(guard("pods", self._work), name="pods")
        finally:
            self._queue.close()

    async def _register(self) -> None:
        now = self._clock.now().replace(microsecond=0)
        node = Node(
            metadata=ObjectMeta(
                name=self._name,
                labels={
                    "kubernetes.io/hostname": self._name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": _arch(),
                    "beta.kubernetes.io/os": "linux",
                    "beta.kubernetes.io/arch": _arch(),
                },
            ),
            status=node_status(self._name, self._address, self._settings, now),
        )
        with contextlib.suppress(AlreadyExists):
            await self._client.create(node)
        await self._client.patch(
            Node,
            self._name,
            patch={"status": msgspec.json.decode(msgspec.json.encode(node.status))},
            subresource="status",
        )

    async def _heartbeat(self) -> None:
        while True:
            now = time.micro(self._clock.now())
            spec = LeaseSpec(holder_identity=self._name, lease_duration_seconds=LEASE_SECONDS, renew_time=now)
            try:
                await self._client.patch(
                    Lease, self._name, LEASES, patch={"spec": {"renewTime": time.micro_text(now)}}
                )
            except NotFound:
                await self._client.create(Lease(metadata=ObjectMeta(name=self._name, namespace=LEASES), spec=spec))
            await self._clock.sleep(RENEW_SECONDS)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and new.spec.node_name == self._name:
            self._queue.add(Key(new.metadata.namespace, new.metadata.name))
        elif new is None and old is not None:
            self._addresses.pop(old.metadata.uid, None)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._advance(key)
            except NotFound:
                pass
            except ApiError:
                self._queue.add_after(key, 1)
            finally:
                self._queue.done(key)

    async def _advance(self, key: Key) -> None:
        pod = self._pods.lister.get(key.name, key.namespace)
        if pod is None:
            return
        if pod.metadata.deletion_timestamp is not None:
            await self._client.delete(Pod, key.name, key.namespace, uid=pod.metadata.uid, grace_period_seconds=0)
            return
        if pod.status.phase not in ("", "Pending"):
            return
        ip = self._address_for(pod)
        if ip is None:
            self._queue.add_after(key, 0.2)
            return
        status = running_status(pod, ip, self._address, self._clock.now().replace(microsecond=0))
        await self._client.patch(
            Pod,
            key.name,
            key.namespace,
            patch={"status": msgspec.json.decode(msgspec.json.encode(status))},
            type=PatchType.STRATEGIC,
            subresource="status",
        )

    def _address_for(self, pod: Pod) -> str | None:
        if pod.spec.host_network:
            return self._address
        node = self._nodes.get(self._name)
        if node is None or not node.spec.pod_cidr:
            return None
        network = ipaddress.ip_network(node.spec.pod_cidr)
        used = {other.status.pod_ip for other in self._pods.lister.list()} | set(self._addresses.values())
        known = self._addresses.get(pod.metadata.uid)
        if known is None:
            known = next(str(host) for host in list(network.hosts())[1:] if str(host) not in used)
            self._addresses[pod.metadata.uid] = known
        return known


def running_status(pod: Pod, ip: str, host: str, now: datetime) -> PodStatus:
    """Everything up and ready."""
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return PodStatus(
        phase="Running",
        start_time=now,
        host_ip=host,
        host_ips=(HostIP(ip=host),),
        pod_ip=ip,
        pod_ips=(PodIP(ip=ip),),
        qos_class=pod.status.qos_class,
        conditions=tuple(PodCondition(type=c, status="True", last_transition_time=now) for c in conditions),
        container_statuses=tuple(
            ContainerStatus(
                name=container.name,
                image=container.image,
                image_id=container.image,
                container_id=f"simulated://{pod.metadata.uid}/{container.name}",
                ready=True,
                started=True,
                restart_count=0,
                state=ContainerState(running=ContainerStateRunning(started_at=now)),
            )
            for container in pod.spec.containers
        ),
    )


def node_status(name: str, address: str, settings: Settings, now: datetime) -> NodeStatus:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    capacity = {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory // 1024}Ki",
        "ephemeral-storage": "100Gi",
        "pods": str(settings.max_pods),
    }
    return NodeStatus(
        capacity=capacity,
        allocatable=capacity,
        addresses=(NodeAddress(type="InternalIP", address=address), NodeAddress(type="Hostname", address=name)),
        conditions=tuple(_conditions(now)),
        node_info=NodeSystemInfo(
            machine_id="",
            system_uuid="",
            boot_id="",
            kernel_version=platform.release(),
            os_image="simulated",
            container_runtime_version="simulated://1",
            kubelet_version="v1.37.0+minikube1",
            kube_proxy_version="",
            operating_system="linux",
            architecture=_arch(),
        ),
    )


def _conditions(now: datetime) -> Sequence[NodeCondition]:
    rows = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    )
    return [
        NodeCondition(
            type=type,
            status=status,
            reason=reason,
            message=message,
            last_heartbeat_time=now,
            last_transition_time=now,
        )
        for type, status, reason, message in rows
    ]


def _arch() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
