"""NodeName: a pod that names its node fits nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import Pod
from minikube.scheduler.events import node_changed
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, NodeInfo, Reject


class NodeName:
    name: ClassVar[str] = "NodeName"

    def events(self) -> Iterable[ClusterEvent]:
        return (node_changed(lambda node: node.metadata.uid),)

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        if pod.spec.node_name and pod.spec.node_name != node.name:
            return Reject("node(s) didn't match the requested node name", Code.UNRESOLVABLE)
        return None
