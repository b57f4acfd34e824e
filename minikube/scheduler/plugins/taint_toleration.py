"""TaintToleration: NoSchedule and NoExecute taints keep pods away, PreferNoSchedule ones weigh against a node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import Pod
from minikube.api.taints import tolerated
from minikube.scheduler.cycle import spread_to_100
from minikube.scheduler.events import node_changed
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, NodeInfo, Reject


class TaintToleration:
    name: ClassVar[str] = "TaintToleration"
    weight: ClassVar[int] = 3

    def events(self) -> Iterable[ClusterEvent]:
        return (node_changed(lambda node: node.spec.taints),)

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        for taint in node.node.spec.taints:
            if taint.effect in ("NoSchedule", "NoExecute") and not tolerated(taint, pod.spec.tolerations):
                return Reject(f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}", Code.UNRESOLVABLE)
        return None

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        tolerations = [t for t in pod.spec.tolerations if t.effect in ("", "PreferNoSchedule")]
        return sum(
            1
            for taint in node.node.spec.taints
            if taint.effect == "PreferNoSchedule" and not tolerated(taint, tolerations)
        )

    def normalize(self, cycle: Cycle, pod: Pod, scores: dict[str, int]) -> None:
        spread_to_100(scores, reverse=True)
