"""One scheduling attempt, purely: which node, or why none. No I/O, no clock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from minikube.api.core_v1 import Pod
from minikube.scheduler.cache import with_pods
from minikube.scheduler.framework import Code, Cycle, NodeInfo, Only, Reject


class Chosen(msgspec.Struct, frozen=True):
    node: str


class NoFit(msgspec.Struct, frozen=True):
    """`rejected` says why for each node; empty nodes and a reason from a PreFilter stand in `everywhere`."""

    nodes: int
    rejected: Mapping[str, Reject]
    everywhere: Reject | None = None

    @property
    def plugins(self) -> frozenset[str]:
        found = {reject.plugin for reject in self.rejected.values()}
        if self.everywhere is not None:
            found.add(self.everywhere.plugin)
        return frozenset(found)

    @property
    def helpless(self) -> int:
        """Nodes on which removing pods would not help."""
        if self.everywhere is not None:
            return self.nodes if self.everywhere.code is Code.UNRESOLVABLE else 0
        return self.nodes - sum(1 for one in self.rejected.values() if one.code is Code.UNSCHEDULABLE)

    def message(self, preemption: str = "") -> str:
        """`0/3 nodes are available: 1 Insufficient cpu, 2 …. preemption: …` (framework.FitError.Error)."""
        if self.nodes == 0:
            return "no nodes available to schedule pods"
        parts = [f"0/{self.nodes} nodes are available:"]
        if self.everywhere is not None:
            parts.append(f"{self.everywhere.reason}.")
        counted: Counter[str] = Counter()
        for reject in self.rejected.values():
            counted.update(reject.reason.split("\n"))
        if counted:
            parts.append(", ".join(sorted(f"{n} {reason}" for reason, n in counted.items())) + ".")
        if preemption:
            # DynamicResources comes first, and has nothing to say of pods without claims.
            parts.append(f"no new claims to deallocate, preemption: {preemption}")
        return " ".join(parts)


def find_node(cycle: Cycle, pod: Pod, plugins: Sequence[Any], chance: random.Random) -> Chosen | NoFit:
    """Filter the nodes, beginning anywhere, until enough fit; score those, take one of the best at random."""
    nodes: Sequence[NodeInfo] | Reject = pre_filter(cycle, pod, plugins)
    if isinstance(nodes, Reject):
        return NoFit(len(cycle.nodes), {}, nodes)
    fitting: list[NodeInfo] = []
    rejected: dict[str, Reject] = {}
    nominated = [node for node in nodes if node.name == pod.status.nominated_node_name]
    if nominated and fits_on(cycle, pod, nominated[0], plugins) is None:
        return Chosen(nominated[0].name)
    enough, begin = enough_nodes(len(nodes)), chance.randrange(len(nodes)) if nodes else 0
    for node in (*nodes[begin:], *nodes[:begin]):
        reject = fits_on(cycle, pod, node, plugins)
        if reject is not None:
            rejected[node.name] = reject
            continue
        fitting.append(node)
        if len(fitting) >= enough:
            break
    if not fitting:
        return NoFit(len(cycle.nodes), rejected)
    if len(fitting) == 1:
        return Chosen(fitting[0].name)
    scores = total_scores(cycle, pod, fitting, plugins)
    best = max(scores.values())
    return Chosen(chance.choice([name for name, score in scores.items() if score == best]))


def enough_nodes(count: int) -> int:
    """How many fitting nodes are worth a comparison: all of a hundred, then an ever smaller share, 5 % at least
    (numFeasibleNodesToFind with the adaptive percentage)."""
    share = max(5, 50 - count // 125)
    return count if count < 100 else max(100, count * share // 100)


def pre_filter(cycle: Cycle, pod: Pod, plugins: Sequence[Any]) -> Sequence[NodeInfo] | Reject:
    """Run every PreFilter; the nodes that are left to look at, or why none can fit."""
    nodes = cycle.nodes
    for plugin in plugins:
        if not hasattr(plugin, "pre_filter"):
            continue
        answer = plugin.pre_filter(cycle, pod)
        if isinstance(answer, Reject):
            return msgspec.structs.replace(answer, plugin=plugin.name)
        if isinstance(answer, Only):
            nodes = [node for node in nodes if node.name in answer.nodes]
    return nodes


def fits_on(cycle: Cycle, pod: Pod, node: NodeInfo, plugins: Sequence[Any]) -> Reject | None:
    """Also beside the pods of at least its priority for which others have made room here; and without them, since
    they may go elsewhere."""
    filters = [plugin for plugin in plugins if hasattr(plugin, "filter")]
    beside = [
        other
        for other in cycle.nominated.get(node.name, ())
        if other.pod.metadata.uid != pod.metadata.uid and (other.pod.spec.priority or 0) >= (pod.spec.priority or 0)
    ]
    if beside:
        reject = first_reject(cycle, pod, with_pods(node, beside), filters)
        if reject is not None:
            return reject
    return first_reject(cycle, pod, node, filters)


def first_reject(cycle: Cycle, pod: Pod, node: NodeInfo, filters: Sequence[Any]) -> Reject | None:
    for plugin in filters:
        reject: Reject | None = plugin.filter(cycle, pod, node)
        if reject is not None:
            return msgspec.structs.replace(reject, plugin=plugin.name)
    return None


def total_scores(cycle: Cycle, pod: Pod, nodes: Sequence[NodeInfo], plugins: Sequence[Any]) -> dict[str, int]:
    total = {node.name: 0 for node in nodes}
    for plugin in plugins:
        if not hasattr(plugin, "score"):
            continue
        if hasattr(plugin, "pre_score"):
            plugin.pre_score(cycle, pod, nodes)
        scores = {node.name: plugin.score(cycle, pod, node) for node in nodes}
        if hasattr(plugin, "normalize"):
            plugin.normalize(cycle, pod, scores)
        for name, score in scores.items():
            total[name] += score * plugin.weight
    return total


def spread_to_100(scores: dict[str, int], *, reverse: bool = False) -> None:
    """The framework's DefaultNormalizeScore: the highest becomes 100."""
    highest = max(scores.values(), default=0)
    for name, score in scores.items():
        share = score * 100 // highest if highest else 0
        scores[name] = 100 - share if reverse else share


def resolvable(no_fit: NoFit) -> list[str]:
    """Nodes where removing pods could help."""
    return [name for name, reject in no_fit.rejected.items() if reject.code is Code.UNSCHEDULABLE]
