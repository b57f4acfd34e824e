"""InterPodAffinity: pods near or far from other pods, both ways: a running pod's terms count too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from minikube.api.core_v1 import Namespace, Pod, PodAffinityTerm
from minikube.api.selectors import matches
from minikube.scheduler.events import neighbours_changed, node_changed
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, NodeInfo, Reject

HARD_WEIGHT = 1
"""What another pod's required affinity to this one is worth (InterPodAffinityArgs.hardPodAffinityWeight)."""
Domain = tuple[str, str]
"""(topology key, its value)."""


class Terms(msgspec.Struct):
    """What one attempt computed: domains with a match for each term, and domains where others refuse us."""

    affinity: list[set[Domain]]
    anti: list[set[Domain]]
    refused: set[Domain]
    first_of_its_kind: bool


class InterPodAffinity:
    name: ClassVar[str] = "InterPodAffinity"
    weight: ClassVar[int] = 2
    sees_pods: ClassVar[bool] = True

    def events(self) -> Iterable[ClusterEvent]:
        return (neighbours_changed(), node_changed(lambda node: node.metadata.labels))

    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None:
        wanted, unwanted = required_affinity(pod), required_anti_affinity(pod)
        affinity = _matching_all(cycle, pod, wanted)
        refused: set[Domain] = set()
        for node in cycle.nodes:
            for other in node.with_affinity:
                for term in required_anti_affinity(other.pod):
                    if _applies(cycle, other.pod, term, pod):
                        refused |= _domain(node, term)
        alone = not any(affinity) and all(_applies(cycle, pod, term, pod) for term in wanted)
        anti = [_domains(cycle, pod, term) for term in unwanted]
        cycle.state[self.name] = Terms(affinity, anti, refused, alone)
        return None

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        terms: Terms = cycle.state[self.name]
        labels = node.node.metadata.labels
        for term, domains in zip(required_affinity(pod), terms.affinity, strict=True):
            here = _domain(node, term)
            if not here or not (here & domains or terms.first_of_its_kind):
                return Reject("node(s) didn't match pod affinity rules", Code.UNRESOLVABLE)
        for term, domains in zip(required_anti_affinity(pod), terms.anti, strict=True):
            if _domain(node, term) & domains:
                return Reject("node(s) didn't match pod anti-affinity rules")
        if any(labels.get(key) == value for key, value in terms.refused):
            return Reject("node(s) didn't satisfy existing pods anti-affinity rules")
        return None

    def pre_score(self, cycle: Cycle, pod: Pod, nodes: Iterable[NodeInfo]) -> None:
        weights: Counter[Domain] = Counter()
        preferred = preferences(pod)
        for node in cycle.nodes:
            for other in node.pods if preferred else ():
                for weight, term in preferred:
                    if _applies(cycle, pod, term, other.pod):
                        for domain in _domain(node, term):
                            weights[domain] += weight
            for other in node.with_affinity:
                theirs = (*preferences(other.pod), *((HARD_WEIGHT, one) for one in required_affinity(other.pod)))
                for weight, term in theirs:
                    if _applies(cycle, other.pod, term, pod):
                        for domain in _domain(node, term):
                            weights[domain] += weight
        cycle.state[self.name + "/score"] = weights

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        weights: Counter[Domain] = cycle.state[self.name + "/score"]
        labels = node.node.metadata.labels
        return sum(weight for (key, value), weight in weights.items() if labels.get(key) == value)

    def normalize(self, cycle: Cycle, pod: Pod, scores: dict[str, int]) -> None:
        low, high = min(scores.values()), max(scores.values())
        for name, score in scores.items():
            scores[name] = (score - low) * 100 // (high - low) if high > low else 0


def preferences(pod: Pod) -> Sequence[tuple[int, PodAffinityTerm]]:
    """Preferred terms by weight; those of anti-affinity weigh against."""
    affinity = pod.spec.affinity
    if affinity is None:
        return ()
    found: list[tuple[int, PodAffinityTerm]] = []
    for sign, terms in ((1, affinity.pod_affinity), (-1, affinity.pod_anti_affinity)):
        for one in terms.preferred_during_scheduling_ignored_during_execution if terms is not None else ():
            found.append((sign * one.weight, one.pod_affinity_term))
    return found


def required_affinity(pod: Pod) -> tuple[PodAffinityTerm, ...]:
    affinity = pod.spec.affinity.pod_affinity if pod.spec.affinity else None
    return affinity.required_during_scheduling_ignored_during_execution if affinity else ()


def required_anti_affinity(pod: Pod) -> tuple[PodAffinityTerm, ...]:
    affinity = pod.spec.affinity.pod_anti_affinity if pod.spec.affinity else None
    return affinity.required_during_scheduling_ignored_during_execution if affinity else ()


def _domain(node: NodeInfo, term: PodAffinityTerm) -> set[Domain]:
    value = node.node.metadata.labels.get(term.topology_key)
    return {(term.topology_key, value)} if value is not None else set()


def _matching_all(cycle: Cycle, pod: Pod, terms: Sequence[PodAffinityTerm]) -> list[set[Domain]]:
    """For each term where pods are that every one of the terms speaks of."""
    found: list[set[Domain]] = [set() for _ in terms]
    for node in cycle.nodes if terms else ():
        if any(all(_applies(cycle, pod, term, other.pod) for term in terms) for other in node.pods):
            for domains, term in zip(found, terms, strict=True):
                domains |= _domain(node, term)
    return found


def _domains(cycle: Cycle, pod: Pod, term: PodAffinityTerm) -> set[Domain]:
    """Where pods that the term speaks of are."""
    found: set[Domain] = set()
    for node in cycle.nodes:
        if any(_applies(cycle, pod, term, other.pod) for other in node.pods):
            found |= _domain(node, term)
    return found


def _applies(cycle: Cycle, owner: Pod, term: PodAffinityTerm, other: Pod) -> bool:
    """The owner's term selects `other`: by namespace, labels and (mis)match label keys."""
    namespaces = set(term.namespaces)
    if term.namespace_selector is not None:
        namespace = cycle.listers[Namespace].get(other.metadata.namespace) if Namespace in cycle.listers else None
        labels = namespace.metadata.labels if namespace is not None else {}
        if matches(term.namespace_selector, labels):
            namespaces.add(other.metadata.namespace)
    elif not namespaces:
        namespaces.add(owner.metadata.namespace)
    if other.metadata.namespace not in namespaces:
        return False
    if term.label_selector is None or not matches(term.label_selector, other.metadata.labels):
        return False
    ours, theirs = owner.metadata.labels, other.metadata.labels
    return all(theirs.get(key) == ours[key] for key in term.match_label_keys if key in ours) and all(
        theirs.get(key) != ours[key] for key in term.mismatch_label_keys if key in ours
    )
