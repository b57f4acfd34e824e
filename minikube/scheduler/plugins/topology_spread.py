"""PodTopologySpread: hard constraints bound the skew between domains, soft ones prefer emptier domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from minikube.api.core_v1 import Pod, TopologySpreadConstraint
from minikube.api.node_selector import matches_required
from minikube.api.selectors import matches
from minikube.api.taints import tolerated
from minikube.scheduler.cycle import spread_to_100
from minikube.scheduler.framework import Code, Cycle, NodeInfo, Reject


class PodTopologySpread:
    name: ClassVar[str] = "PodTopologySpread"
    weight: ClassVar[int] = 2

    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None:
        cycle.state[self.name] = {
            index: domain_counts(cycle, pod, constraint)
            for index, constraint in enumerate(pod.spec.topology_spread_constraints)
        }
        return None

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        for index, constraint in enumerate(pod.spec.topology_spread_constraints):
            if constraint.when_unsatisfiable != "DoNotSchedule":
                continue
            domain = node.node.metadata.labels.get(constraint.topology_key)
            if domain is None:
                return Reject(
                    "node(s) didn't match pod topology spread constraints (missing required label)",
                    Code.UNRESOLVABLE,
                )
            counts: Mapping[str, int] = cycle.state[self.name][index]
            least = min(counts.values(), default=0)
            if constraint.min_domains and len(counts) < constraint.min_domains:
                least = 0
            itself = 1 if _selects(constraint, pod, pod) else 0
            if counts.get(domain, 0) + itself - least > constraint.max_skew:
                return Reject("node(s) didn't match pod topology spread constraints")
        return None

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        total = 0
        for index, constraint in enumerate(pod.spec.topology_spread_constraints):
            if constraint.when_unsatisfiable != "ScheduleAnyway":
                continue
            domain = node.node.metadata.labels.get(constraint.topology_key, "")
            total += cycle.state[self.name][index].get(domain, 0)
        return total

    def normalize(self, cycle: Cycle, pod: Pod, scores: dict[str, int]) -> None:
        spread_to_100(scores, reverse=True)


def domain_counts(cycle: Cycle, pod: Pod, constraint: TopologySpreadConstraint) -> dict[str, int]:
    """Matching pods in each domain of the nodes that count (node affinity honored, taints by policy)."""
    counts: dict[str, int] = {}
    for node in cycle.nodes:
        domain = node.node.metadata.labels.get(constraint.topology_key)
        if domain is None or not _counts(constraint, pod, node):
            continue
        matching = sum(1 for other in node.pods if _selects(constraint, pod, other.pod))
        counts[domain] = counts.get(domain, 0) + matching
    return counts


def _counts(constraint: TopologySpreadConstraint, pod: Pod, node: NodeInfo) -> bool:
    if constraint.node_affinity_policy != "Ignore" and not matches_required(pod, node.node):
        return False
    return constraint.node_taints_policy != "Honor" or all(
        tolerated(taint, pod.spec.tolerations)
        for taint in node.node.spec.taints
        if taint.effect in ("NoSchedule", "NoExecute")
    )


def _selects(constraint: TopologySpreadConstraint, pod: Pod, other: Pod) -> bool:
    if other.metadata.namespace != pod.metadata.namespace or other.metadata.deletion_timestamp is not None:
        return False
    if constraint.label_selector is None or not matches(constraint.label_selector, other.metadata.labels):
        return False
    return all(
        key not in pod.metadata.labels or other.metadata.labels.get(key) == pod.metadata.labels[key]
        for key in constraint.match_label_keys
    )
