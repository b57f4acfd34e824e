"""NodeName: a pod that names its node fits nowhere else."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import Pod
from minikube.scheduler.framework import Code, Cycle, NodeInfo, Reject


class NodeName:
    name: ClassVar[str] = "NodeName"

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        if pod.spec.node_name and pod.spec.node_name != node.name:
            return Reject("node(s) didn't match the requested node name", Code.UNRESOLVABLE)
        return None
