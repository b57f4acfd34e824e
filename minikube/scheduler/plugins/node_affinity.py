"""NodeAffinity: nodeSelector and node affinity, required and preferred."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import Pod
from minikube.api.node_selector import matches_preference, matches_required
from minikube.scheduler.cycle import spread_to_100
from minikube.scheduler.events import node_changed
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, NodeInfo, Reject


class NodeAffinity:
    name: ClassVar[str] = "NodeAffinity"
    weight: ClassVar[int] = 2

    def events(self) -> Iterable[ClusterEvent]:
        return (node_changed(lambda node: node.metadata.labels),)

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        if matches_required(pod, node.node):
            return None
        return Reject("node(s) didn't match Pod's node affinity/selector", Code.UNRESOLVABLE)

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
        if affinity is None:
            return 0
        return sum(
            term.weight
            for term in affinity.preferred_during_scheduling_ignored_during_execution
            if matches_preference(term.preference, node.node)
        )

    def normalize(self, cycle: Cycle, pod: Pod, scores: dict[str, int]) -> None:
        spread_to_100(scores)
