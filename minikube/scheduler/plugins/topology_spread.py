"""PodTopologySpread: hard constraints bound the skew between domains, soft ones prefer emptier domains.

A pod without constraints is spread softly over hosts and zones, beside the pods of its services and its set
(the plugin's system defaulting).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import msgspec

from minikube.api.apps_v1 import ReplicaSet, StatefulSet
from minikube.api.core_v1 import Pod, ReplicationController, Service, TopologySpreadConstraint
from minikube.api.meta import Object
from minikube.api.meta_v1 import LabelSelector
from minikube.api.node_selector import matches_required
from minikube.api.owners import controller_of
from minikube.api.selectors import matches
from minikube.api.taints import tolerated
from minikube.scheduler.events import neighbours_changed, node_changed
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, NodeInfo, Reject

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
DEFAULTS = ((3, HOSTNAME), (5, ZONE))
WHY = "node(s) didn't match pod topology spread constraints"


class Soft(msgspec.Struct):
    """What scoring needs: the constraints, matching pods by domain for each, what a domain weighs, and nodes that
    lack a topology key."""

    constraints: Sequence[TopologySpreadConstraint]
    counts: list[dict[str, int]]
    weights: list[float]
    ignored: frozenset[str]


class PodTopologySpread:
    name: ClassVar[str] = "PodTopologySpread"
    weight: ClassVar[int] = 2
    sees_pods: ClassVar[bool] = True
    reads: ClassVar[tuple[type[Object], ...]] = (Service, ReplicaSet, ReplicationController, StatefulSet)

    def events(self) -> Iterable[ClusterEvent]:
        return (neighbours_changed(), node_changed(lambda node: (node.metadata.labels, node.spec.taints)))

    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None:
        hard = _constraints(pod, "DoNotSchedule")
        cycle.state[self.name] = [(one, domain_counts(cycle, pod, one, hard)) for one in hard]
        return None

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        for constraint, counts in cycle.state[self.name]:
            domain = node.node.metadata.labels.get(constraint.topology_key)
            if domain is None:
                return Reject(f"{WHY} (missing required label)", Code.UNRESOLVABLE)
            least = min(counts.values(), default=0)
            if constraint.min_domains and len(counts) < constraint.min_domains:
                least = 0
            itself = 1 if _selects(constraint, pod, pod) else 0
            if counts.get(domain, 0) + itself - least > constraint.max_skew:
                return Reject(WHY)
        return None

    def pre_score(self, cycle: Cycle, pod: Pod, nodes: Sequence[NodeInfo]) -> None:
        given = _constraints(pod, "ScheduleAnyway")
        constraints = given if pod.spec.topology_spread_constraints else default_constraints(cycle, pod)
        keys = [one.topology_key for one in constraints]
        ignored = (
            frozenset(node.name for node in nodes if any(key not in node.node.metadata.labels for key in keys))
            if given
            else frozenset[str]()
        )
        candidates = [node for node in nodes if node.name not in ignored]
        counts, weights = [], []
        for one in constraints:
            here = {node.node.metadata.labels.get(one.topology_key) for node in candidates} - {None}
            found = domain_counts(cycle, pod, one, given)
            counts.append({domain: count for domain, count in found.items() if domain in here})
            weights.append(math.log(len(here) + 2))
        cycle.state[self.name + "/score"] = Soft(constraints, counts, weights, ignored)

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        soft: Soft = cycle.state[self.name + "/score"]
        if node.name in soft.ignored:
            return 0
        total = 0.0
        for constraint, counts, weight in zip(soft.constraints, soft.counts, soft.weights, strict=True):
            domain = node.node.metadata.labels.get(constraint.topology_key)
            if domain is not None:
                total += counts.get(domain, 0) * weight + (constraint.max_skew - 1)
        return round(total)

    def normalize(self, cycle: Cycle, pod: Pod, scores: dict[str, int]) -> None:
        soft: Soft = cycle.state[self.name + "/score"]
        if not soft.constraints:
            scores.update(dict.fromkeys(scores, 0))
            return
        counting = [score for name, score in scores.items() if name not in soft.ignored]
        low, high = min(counting, default=0), max(counting, default=0)
        for name, score in scores.items():
            if name in soft.ignored:
                scores[name] = 0
            else:
                scores[name] = 100 * (high + low - score) // high if high else 100


def default_constraints(cycle: Cycle, pod: Pod) -> list[TopologySpreadConstraint]:
    selector = default_selector(cycle, pod)
    if not selector.match_labels and not selector.match_expressions:
        return []
    return [
        TopologySpreadConstraint(
            max_skew=skew, topology_key=key, when_unsatisfiable="ScheduleAnyway", label_selector=selector
        )
        for skew, key in DEFAULTS
    ]


def default_selector(cycle: Cycle, pod: Pod) -> LabelSelector:
    """The selectors of the pod's services and of the set that controls it, all of them."""
    namespace, labels = pod.metadata.namespace, pod.metadata.labels
    wanted: dict[str, str] = {}
    services: Sequence[Service] = cycle.listers[Service].list(namespace) if Service in cycle.listers else ()
    for service in services:
        if service.spec.selector and service.spec.selector.items() <= labels.items():
            wanted.update(service.spec.selector)
    owner = controller_of(pod)
    kinds = {"ReplicaSet": ReplicaSet, "StatefulSet": StatefulSet, "ReplicationController": ReplicationController}
    lister = cycle.listers.get(kinds.get(owner.kind, Pod)) if owner is not None else None
    found = lister.get(owner.name, namespace) if lister is not None and owner is not None else None
    if isinstance(found, ReplicationController):
        wanted.update(found.spec.selector)
    elif isinstance(found, ReplicaSet | StatefulSet) and found.spec.selector is not None:
        wanted.update(found.spec.selector.match_labels)
        return LabelSelector(match_labels=wanted, match_expressions=found.spec.selector.match_expressions)
    return LabelSelector(match_labels=wanted)


def _constraints(pod: Pod, when: str) -> list[TopologySpreadConstraint]:
    return [one for one in pod.spec.topology_spread_constraints if one.when_unsatisfiable == when]


def domain_counts(
    cycle: Cycle, pod: Pod, constraint: TopologySpreadConstraint, beside: Sequence[TopologySpreadConstraint]
) -> dict[str, int]:
    """Matching pods in each domain of the nodes that count: they have the keys of all constraints (`beside`), node
    affinity is honored, taints by policy."""
    counts: dict[str, int] = {}
    keys = {one.topology_key for one in beside}
    for node in cycle.nodes:
        labels: Mapping[str, str] = node.node.metadata.labels
        domain = labels.get(constraint.topology_key)
        if domain is None or not keys <= labels.keys() or not _counts(constraint, pod, node):
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
