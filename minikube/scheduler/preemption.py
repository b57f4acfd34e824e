"""DefaultPreemption, purely: on which node removing which lower-priority pods would let a pod in.

Rules: kube-scheduler framework/preemption and plugins/defaultpreemption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from minikube.api.core_v1 import Pod
from minikube.api.policy_v1 import PodDisruptionBudget
from minikube.api.selectors import matches
from minikube.scheduler.cache import without_pods
from minikube.scheduler.cycle import NoFit, fits_on, resolvable
from minikube.scheduler.framework import Cycle, NodeInfo, Only, Reject

ENOUGH, SHARE = 100, 10
"""Candidates that are looked for: at least so many, and so many percent of the nodes."""
OFFSET = 2**31
"""Makes every priority positive, so that a sum grows with every victim."""
_NEVER = datetime.max.replace(tzinfo=UTC)


class Victims(msgspec.Struct, frozen=True):
    node: str
    pods: tuple[Pod, ...]
    """Most important first."""
    violations: int
    """How many of them break a disruption budget."""


def priority(pod: Pod) -> int:
    return pod.spec.priority or 0


def not_eligible(pod: Pod, nodes: Sequence[NodeInfo]) -> str:
    """Why a pod may not preempt others now; empty if it may."""
    if pod.spec.preemption_policy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    nominated = next((node for node in nodes if node.name == pod.status.nominated_node_name), None)
    for other in nominated.pods if nominated is not None else ():
        going = other.pod.metadata.deletion_timestamp is not None
        if going and priority(other.pod) < priority(pod) and _preempted(other.pod):
            return "not eligible due to a terminating pod on the nominated node."
    return ""


def _preempted(pod: Pod) -> bool:
    wanted = ("DisruptionTarget", "PreemptionByScheduler")
    return any((one.type, one.reason) == wanted for one in pod.status.conditions)


def no_victims(no_fit: NoFit) -> str:
    """What is said when removing pods helps nowhere."""
    counted = {
        "No preemption victims found for incoming pod": no_fit.nodes - no_fit.helpless,
        "Preemption is not helpful for scheduling": no_fit.helpless,
    }
    parts = sorted(f"{count} {why}" for why, count in counted.items() if count)
    return f"0/{no_fit.nodes} nodes are available: {', '.join(parts)}."


def find_victims(
    cycle: Cycle, pod: Pod, no_fit: NoFit, plugins: Sequence[Any], budgets: Sequence[PodDisruptionBudget]
) -> Victims | None:
    """The cheapest node: fewest budget violations, lowest highest priority, smallest sum, fewest pods, and the most
    important of them started last."""
    names = set(resolvable(no_fit))
    enough = max(ENOUGH, len(cycle.nodes) * SHARE // 100)
    found: list[Victims] = []
    for node in cycle.nodes:
        victims = victims_on(cycle, pod, node, plugins, budgets) if node.name in names else None
        if victims is not None:
            found.append(victims)
            if len(found) >= enough:
                break
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
    ordered = sorted(lower, key=_importance)
    breaking = set(_violating(ordered, budgets))
    for other in sorted(ordered, key=lambda one: one.metadata.uid not in breaking):
        if _fits(cycle, pod, node, plugins, gone - {other.metadata.uid}):
            gone.discard(other.metadata.uid)
    victims = tuple(other for other in ordered if other.metadata.uid in gone)
    if not victims:
        return None
    return Victims(node.name, victims, sum(1 for other in victims if other.metadata.uid in breaking))


def _fits(cycle: Cycle, pod: Pod, node: NodeInfo, plugins: Sequence[Any], gone: set[str]) -> bool:
    """Only plugins that look at other pods are asked for their PreFilter again."""
    reduced = without_pods(node, frozenset(gone))
    seeing = [plugin for plugin in plugins if getattr(plugin, "sees_pods", False)]
    nodes = tuple(reduced if other.name == node.name else other for other in cycle.nodes) if seeing else cycle.nodes
    trial = Cycle(nodes=nodes, nominated=cycle.nominated, listers=cycle.listers, state=dict(cycle.state))
    for plugin in seeing:
        answer = plugin.pre_filter(trial, pod)
        if isinstance(answer, Reject) or (isinstance(answer, Only) and node.name not in answer.nodes):
            return False
    return fits_on(trial, pod, reduced, plugins) is None


def _violating(pods: Iterable[Pod], budgets: Sequence[PodDisruptionBudget]) -> Iterable[str]:
    """Uids of the pods, in order, for which a budget has nothing left."""
    left = {budget.metadata.uid: budget.status.disruptions_allowed or 0 for budget in budgets}
    for pod in pods:
        broken = False
        for budget in budgets:
            if budget.metadata.namespace != pod.metadata.namespace:
                continue
            selector = budget.spec.selector
            if selector is None or not (selector.match_labels or selector.match_expressions):
                continue
            if not matches(selector, pod.metadata.labels) or pod.metadata.name in budget.status.disrupted_pods:
                continue
            left[budget.metadata.uid] -= 1
            broken = broken or left[budget.metadata.uid] < 0
        if broken:
            yield pod.metadata.uid


def _importance(pod: Pod) -> tuple[int, datetime]:
    """Higher priority, then running longer (util.MoreImportantPod)."""
    return -priority(pod), pod.status.start_time or _NEVER


def _cost(victims: Victims) -> tuple[int, int, int, int, float]:
    priorities = [priority(pod) + OFFSET for pod in victims.pods]
    highest = max(priorities)
    important = (pod for pod in victims.pods if priority(pod) + OFFSET == highest)
    started = min(pod.status.start_time or _NEVER for pod in important)
    return victims.violations, highest, sum(priorities), len(priorities), -started.timestamp()
