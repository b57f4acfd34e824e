"""NodeUnschedulable: a cordoned node takes only pods that tolerate it."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import Pod, Taint
from minikube.api.taints import tolerated
from minikube.scheduler.framework import Code, Cycle, NodeInfo, Reject

TAINT = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable:
    name: ClassVar[str] = "NodeUnschedulable"

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        if node.node.spec.unschedulable and not tolerated(TAINT, pod.spec.tolerations):
            return Reject("node(s) were unschedulable", Code.UNRESOLVABLE)
        return None
