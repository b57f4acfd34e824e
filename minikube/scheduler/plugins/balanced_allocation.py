"""NodeResourcesBalancedAllocation: prefers nodes whose cpu and memory are used in like shares."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import Pod
from minikube.scheduler.framework import Cycle, NodeInfo
from minikube.scheduler.requests import pod_requests


class BalancedAllocation:
    name: ClassVar[str] = "NodeResourcesBalancedAllocation"
    weight: ClassVar[int] = 1

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        if not node.allocatable.cpu or not node.allocatable.memory:
            return 0
        asked = pod_requests(pod)
        cpu = min(1.0, (node.requested.cpu + asked.cpu) / node.allocatable.cpu)
        memory = min(1.0, (node.requested.memory + asked.memory) / node.allocatable.memory)
        return int((1 - abs(cpu - memory) / 2) * 100)
