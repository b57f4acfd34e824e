"""NodePorts: two pods cannot have the same host port of one node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import Pod
from minikube.scheduler.cache import host_ports
from minikube.scheduler.events import node_changed, room_made
from minikube.scheduler.framework import ClusterEvent, Cycle, NodeInfo, Reject

ANY = "0.0.0.0"


class NodePorts:
    name: ClassVar[str] = "NodePorts"

    def events(self) -> Iterable[ClusterEvent]:
        return (*room_made(), node_changed(lambda node: node.metadata.uid))

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        for ip, protocol, port in host_ports(pod):
            for used_ip, used_protocol, used_port in node.host_ports:
                same_ip = ip == used_ip or ANY in (ip, used_ip)
                if same_ip and (protocol, port) == (used_protocol, used_port):
                    return Reject("node(s) didn't have free ports for the requested pod ports")
        return None
