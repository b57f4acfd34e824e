"""DefaultPreemption, purely: on which node removing which lower-priority pods would let a pod in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from minikube.api.core_v1 import Pod
from minikube.api.policy_v1 import PodDisruptionBudget
from minikube.api.selectors import matches
from minikube.scheduler.cache import without_pods
from minikube.scheduler.cycle import NoFit, first_reject, pre_filter, resolvable
from minikube.scheduler.framework import Cycle, NodeInfo, Reject


class Victims(msgspec.Struct, frozen=True):
    node: str
    pods: tuple[Pod, ...]
    violations: int
    """How many of them break a disruption budget."""


def priority(pod: Pod) -> int:
    return pod.spec.priority or 0


def find_victims(
    cycle: Cycle, pod: Pod, no_fit: NoFit, plugins: Sequence[Any], budgets: Sequence[PodDisruptionBudget]
) -> Victims | None:
    """The cheapest node: fewest budget violations, lowest highest priority, smallest sum, fewest pods."""
    if pod.spec.preemption_policy == "Never":
        return None
    names = set(resolvable(no_fit))
    found = [
        victims
        for node in cycle.nodes
        if node.name in names and (victims := victims_on(cycle, pod, node, plugins, budgets)) is not None
    ]
    return min(found, key=_cost, default=None)


def victims_on(
    cycle: Cycle, pod: Pod, node: NodeInfo, plugins: Sequence[Any], budgets: Sequence[PodDisruptionBudget]
) -> Victims | None:
    """Remove all lower-priority pods; if the pod fits then, put back as many as possible, important ones first."""
    lower = [other.pod for other in node.pods if priority(other.pod) < priority(pod)]
    if not lower:
        return None
    gone = {other.metadata.uid for other in lower}
    if not _fits(cycle, pod, node, plugins, gone):
        return None
    breaking = set(_violating(lower, budgets))
    ordered = sorted(lower, key=lambda p: (p.metadata.uid not in breaking, -priority(p), _started(p)))
    for other in ordered:
        if _fits(cycle, pod, node, plugins, gone - {other.metadata.uid}):
            gone.discard(other.metadata.uid)
    victims = tuple(sorted((p for p in lower if p.metadata.uid in gone), key=lambda p: -priority(p)))
    if not victims:
        return None
    return Victims(node.name, victims, sum(1 for p in victims if p.metadata.uid in breaking))


def _fits(cycle: Cycle, pod: Pod, node: NodeInfo, plugins: Sequence[Any], gone: set[str]) -> bool:
    reduced = without_pods(node, frozenset(gone))
    nodes = tuple(reduced if other.name == node.name else other for other in cycle.nodes)
    trial = Cycle(nodes=nodes, listers=cycle.listers)
    left = pre_filter(trial, pod, plugins)
    if isinstance(left, Reject) or not any(other.name == node.name for other in left):
        return False
    return first_reject(trial, pod, reduced, [p for p in plugins if hasattr(p, "filter")]) is None


def _violating(pods: Iterable[Pod], budgets: Sequence[PodDisruptionBudget]) -> Iterable[str]:
    left = {budget.metadata.uid: budget.status.disruptions_allowed or 0 for budget in budgets}
    for pod in sorted(pods, key=lambda p: -priority(p)):
        for budget in budgets:
            selector = budget.spec.selector
            if budget.metadata.namespace != pod.metadata.namespace or selector is None:
                continue
            if matches(selector, pod.metadata.labels):
                left[budget.metadata.uid] -= 1
                if left[budget.metadata.uid] < 0:
                    yield pod.metadata.uid


def _started(pod: Pod) -> float:
    return pod.status.start_time.timestamp() if pod.status.start_time else float("inf")


def _cost(victims: Victims) -> tuple[int, int, int, int]:
    priorities = [priority(pod) for pod in victims.pods]
    return (victims.violations, max(priorities), sum(priorities), len(priorities))
