"""ImageLocality: prefers nodes that have the pod's images already."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import Pod
from minikube.scheduler.framework import Cycle, NodeInfo

MEBIBYTE = 1024 * 1024
LEAST, MOST = 23 * MEBIBYTE, 1000 * MEBIBYTE


class ImageLocality:
    name: ClassVar[str] = "ImageLocality"
    weight: ClassVar[int] = 1

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        containers = (*pod.spec.containers, *pod.spec.init_containers)
        total = 0
        for container in containers:
            size = node.image_sizes.get(container.image, 0)
            have = sum(1 for other in cycle.nodes if container.image in other.image_sizes)
            total += size * have // max(1, len(cycle.nodes))
        most = MOST * len(containers)
        return 100 * (min(max(total, LEAST), most) - LEAST) // max(1, most - LEAST)
