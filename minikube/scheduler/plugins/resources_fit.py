"""NodeResourcesFit: what the pod asks for must be free; emptier nodes score higher (LeastAllocated)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import Pod
from minikube.scheduler.events import node_changed, room_made
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, NodeInfo, PodInfo, Reject
from minikube.scheduler.requests import pod_info


class NodeResourcesFit:
    name: ClassVar[str] = "NodeResourcesFit"
    weight: ClassVar[int] = 1

    def events(self) -> Iterable[ClusterEvent]:
        return (*room_made(), node_changed(lambda node: node.status.allocatable))

    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None:
        cycle.state[self.name] = pod_info(pod)
        return None

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        asked = self._info(cycle, pod).requests
        have, used = node.allocatable, node.requested
        short = []
        hopeless = False
        if have.pods and len(node.pods) + 1 > have.pods:
            short.append("Too many pods")
        for name, want, total, taken in (
            ("cpu", asked.cpu, have.cpu, used.cpu),
            ("memory", asked.memory, have.memory, used.memory),
            ("ephemeral-storage", asked.ephemeral_storage, have.ephemeral_storage, used.ephemeral_storage),
            *((n, v, have.scalar.get(n, 0), used.scalar.get(n, 0)) for n, v in asked.scalar.items()),
        ):
            if want and want > total - taken:
                short.append(f"Insufficient {name}")
                hopeless = hopeless or want > total
        if not short:
            return None
        return Reject("\n".join(short), Code.UNRESOLVABLE if hopeless else Code.UNSCHEDULABLE)

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        asked = self._info(cycle, pod)
        cpu = node.non_zero_cpu + asked.non_zero_cpu
        memory = node.non_zero_memory + asked.non_zero_memory
        return (_free(cpu, node.allocatable.cpu) + _free(memory, node.allocatable.memory)) // 2

    def _info(self, cycle: Cycle, pod: Pod) -> PodInfo:
        known = cycle.state.get(self.name)
        return known if isinstance(known, PodInfo) else pod_info(pod)


def _free(used: int, total: int) -> int:
    return max(0, (total - used) * 100 // total) if total else 0
