"""Which node a pod gets, and in which words it is told that none fits."""

from __future__ import annotations

import random
from typing import Any

import pytest

from minikube.api.core_v1 import (
    Affinity,
    Node,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    Toleration,
    TopologySpreadConstraint,
)
from minikube.api.meta_v1 import LabelSelector
from minikube.scheduler.cycle import Chosen, NoFit, enough_nodes, find_node, total_scores
from minikube.scheduler.framework import Cycle
from minikube.scheduler.preemption import no_victims
from minikube.scheduler.requests import pod_info
from tests.unit.scheduler.nodes import PLUGIN_SET, cycle, node, pod, taint

WEB = LabelSelector(match_labels={"app": "web"})


def placed(state: Cycle, one: Pod) -> str:
    found = find_node(state, one, _without_volumes(), random.Random(1))
    if isinstance(found, Chosen):
        return found.node
    return found.message(no_victims(found))


def _without_volumes() -> list[Any]:
    return [plugin for plugin in PLUGIN_SET if "Volume" not in plugin.name]


def anti(selector: LabelSelector, key: str = "kubernetes.io/hostname") -> Affinity:
    term = PodAffinityTerm(label_selector=selector, topology_key=key)
    return Affinity(pod_anti_affinity=PodAntiAffinity(required_during_scheduling_ignored_during_execution=(term,)))


def near(selector: LabelSelector, key: str) -> Affinity:
    term = PodAffinityTerm(label_selector=selector, topology_key=key)
    return Affinity(pod_affinity=PodAffinity(required_during_scheduling_ignored_during_execution=(term,)))


@pytest.mark.parametrize(
    ("nodes", "others", "one", "expected"),
    [
        ([node("a", cpu="1"), node("b")], [], pod("p", cpu="2"), "b"),
        (
            [node("a", cpu="1"), node("b")],
            [pod("q", "b", cpu="3")],
            pod("p", cpu="2"),
            "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, "
            "preemption: 0/2 nodes are available: "
            "1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
        ),
        (
            [node("a", taints=(taint("dedicated", value="gpu"),)), node("b", unschedulable=True)],
            [],
            pod("p"),
            "0/2 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}, "
            "1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: "
            "2 Preemption is not helpful for scheduling.",
        ),
        (
            [node("a", taints=(taint("dedicated"),))],
            [],
            pod("p", tolerations=(Toleration(key="dedicated", operator="Exists"),)),
            "a",
        ),
        ([node("a"), node("b", labels={"disk": "ssd"})], [], pod("p", node_selector={"disk": "ssd"}), "b"),
        (
            [node("a")],
            [pod("q", "a", port=8080)],
            pod("p", port=8080),
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. "
            "no new claims to deallocate, "
            "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
        ),
        ([node("a"), node("b")], [pod("q", "a", labels={"app": "web"})], pod("p", affinity=anti(WEB)), "b"),
        (
            [node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"})],
            [pod("q", "b", labels={"app": "web"})],
            pod("p", affinity=near(WEB, "zone")),
            "b",
        ),
        ([node("a", labels={"zone": "1"})], [], pod("p", labels={"app": "web"}, affinity=near(WEB, "zone")), "a"),
        (
            [node("a"), node("b")],
            [pod("q", "a", affinity=anti(WEB))],
            pod("p", labels={"app": "web"}),
            "b",
        ),
        ([], [], pod("p"), "no nodes available to schedule pods"),
    ],
)
def test_a_pod_goes_where_it_fits_or_is_told_why_not(
    nodes: list[Node], others: list[Pod], one: Pod, expected: str
) -> None:
    assert placed(cycle(nodes, others), one) == expected


def test_a_hard_spread_bounds_the_skew() -> None:
    constraint = TopologySpreadConstraint(
        max_skew=1, topology_key="zone", when_unsatisfiable="DoNotSchedule", label_selector=WEB
    )
    nodes = [node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}), node("c")]
    others = [pod("q", "a", labels={"app": "web"})]
    one = pod("p", labels={"app": "web"}, topology_spread_constraints=(constraint,))
    assert placed(cycle(nodes, others), one) == "b"


def test_a_soft_spread_prefers_the_emptier_domain() -> None:
    constraint = TopologySpreadConstraint(
        max_skew=1, topology_key="zone", when_unsatisfiable="ScheduleAnyway", label_selector=WEB
    )
    nodes = [node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}), node("c", labels={"zone": "2"})]
    others = [pod(f"q{n}", "b", labels={"app": "web"}) for n in range(3)]
    one = pod("p", labels={"app": "web"}, topology_spread_constraints=(constraint,))
    assert placed(cycle(nodes, others), one) == "a"


def test_in_large_clusters_not_every_node_is_compared() -> None:
    assert [enough_nodes(count) for count in (0, 99, 100, 1000, 5000, 10000)] == [0, 99, 100, 420, 500, 500]


def test_emptier_nodes_score_higher() -> None:
    state = cycle([node("a"), node("b")], [pod("q", "a", cpu="2")])
    one = pod("p", cpu="1")
    plugins = [plugin for plugin in PLUGIN_SET if plugin.name == "NodeResourcesFit"]
    scores = total_scores(state, one, state.nodes, plugins)
    assert scores["b"] > scores["a"]


def test_a_place_that_others_made_is_kept_from_the_less_important_only() -> None:
    waiting = pod_info(pod("vip", cpu="3", priority=100, nominated="a"))
    state = cycle([node("a")], nominated={"a": [waiting]})
    assert isinstance(find_node(state, pod("p", cpu="2"), _without_volumes(), random.Random(1)), NoFit)
    assert placed(state, pod("boss", cpu="2", priority=1000)) == "a"
    assert placed(state, waiting.pod) == "a"
