"""The scheduler's picture of the nodes: what listers say plus pods assumed to be bound but not yet seen so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from minikube.api.core_v1 import Node, Pod
from minikube.scheduler.framework import Amounts, NodeInfo, PodInfo
from minikube.scheduler.requests import add, node_allocatable, pod_info


def finished(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


class Cache:
    """Kept by informer handlers; a pod counts on its node from `assume` or its nodeName until it ends."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}
        self._where: dict[str, str] = {}
        self._orphans: dict[str, dict[str, PodInfo]] = {}

    def nodes(self) -> Sequence[NodeInfo]:
        return [info for info in self._nodes.values() if info.node.metadata.name]

    def set_node(self, node: Node) -> None:
        name = node.metadata.name
        known = self._nodes.get(name) or NodeInfo(node=node)
        sizes = {tag: image.size_bytes or 0 for image in node.status.images for tag in image.names}
        info = msgspec.structs.replace(known, node=node, allocatable=node_allocatable(node), image_sizes=sizes)
        for waiting in self._orphans.pop(name, {}).values():
            info = _with(info, waiting)
        self._nodes[name] = info

    def remove_node(self, name: str) -> None:
        info = self._nodes.pop(name, None)
        if info is not None and info.pods:
            self._orphans[name] = {pod.pod.metadata.uid: pod for pod in info.pods}

    def set_pod(self, pod: Pod) -> None:
        """Take in a pod as listed; one without node, or one that has ended, is only forgotten."""
        uid = pod.metadata.uid
        if pod.spec.node_name and not finished(pod):
            self.remove_pod(uid)
            self._place(pod, pod.spec.node_name)
        elif pod.spec.node_name or finished(pod):
            self.remove_pod(uid)

    def assume(self, pod: Pod, node: str) -> None:
        """Count the pod on the node while its binding is on the way."""
        self.remove_pod(pod.metadata.uid)
        self._place(pod, node)

    def remove_pod(self, uid: str) -> None:
        name = self._where.pop(uid, None)
        if name is None:
            return
        self._orphans.get(name, {}).pop(uid, None)
        info = self._nodes.get(name)
        if info is not None:
            self._nodes[name] = _without(info, uid)

    def _place(self, pod: Pod, name: str) -> None:
        placed = pod_info(pod)
        self._where[pod.metadata.uid] = name
        info = self._nodes.get(name)
        if info is None:
            self._orphans.setdefault(name, {})[pod.metadata.uid] = placed
        else:
            self._nodes[name] = _with(info, placed)


def host_ports(pod: Pod) -> frozenset[tuple[str, str, int]]:
    """(host IP, protocol, port) that the pod wants on its node."""
    containers = (*pod.spec.containers, *(c for c in pod.spec.init_containers if c.restart_policy == "Always"))
    return frozenset(
        (port.host_ip or "0.0.0.0", port.protocol or "TCP", port.host_port)
        for container in containers
        for port in container.ports
        if port.host_port
    )


def _with(info: NodeInfo, placed: PodInfo) -> NodeInfo:
    return msgspec.structs.replace(
        info,
        pods=(*info.pods, placed),
        requested=add(info.requested, placed.requests),
        non_zero_cpu=info.non_zero_cpu + placed.non_zero_cpu,
        non_zero_memory=info.non_zero_memory + placed.non_zero_memory,
        host_ports=info.host_ports | host_ports(placed.pod),
        with_affinity=(*info.with_affinity, placed) if _has_affinity(placed.pod) else info.with_affinity,
    )


def _without(info: NodeInfo, uid: str) -> NodeInfo:
    left = tuple(pod for pod in info.pods if pod.pod.metadata.uid != uid)
    gone = [pod for pod in info.pods if pod.pod.metadata.uid == uid]
    requested: Amounts = info.requested
    for pod in gone:
        requested = add(requested, pod.requests, sign=-1)
    ports = frozenset(port for pod in left for port in host_ports(pod.pod)) if info.host_ports else info.host_ports
    return msgspec.structs.replace(
        info,
        pods=left,
        requested=requested,
        non_zero_cpu=info.non_zero_cpu - sum(pod.non_zero_cpu for pod in gone),
        non_zero_memory=info.non_zero_memory - sum(pod.non_zero_memory for pod in gone),
        host_ports=ports,
        with_affinity=tuple(pod for pod in info.with_affinity if pod.pod.metadata.uid != uid),
    )


def _has_affinity(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    return affinity is not None and (affinity.pod_affinity is not None or affinity.pod_anti_affinity is not None)


def with_pods(info: NodeInfo, pods: Iterable[PodInfo]) -> NodeInfo:
    """The node as it would be with these pods too (nominated ones)."""
    for pod in pods:
        info = _with(info, pod)
    return info


def without_pods(info: NodeInfo, uids: frozenset[str]) -> NodeInfo:
    """The node as it would be without these pods (preemption's question)."""
    for uid in uids:
        info = _without(info, uid)
    return info
