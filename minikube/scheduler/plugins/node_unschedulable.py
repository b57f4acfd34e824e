"""NodeUnschedulable: a cordoned node takes only pods that tolerate it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import Pod, Taint
from minikube.api.taints import tolerated
from minikube.api.well_known import UNSCHEDULABLE
from minikube.scheduler.events import node_changed
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, NodeInfo, Reject

TAINT = Taint(key=UNSCHEDULABLE, effect="NoSchedule")


class NodeUnschedulable:
    name: ClassVar[str] = "NodeUnschedulable"

    def events(self) -> Iterable[ClusterEvent]:
        return (node_changed(lambda node: (node.spec.unschedulable, node.spec.taints)),)

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        if node.node.spec.unschedulable and not tolerated(TAINT, pod.spec.tolerations):
            return Reject("node(s) were unschedulable", Code.UNRESOLVABLE)
        return None
