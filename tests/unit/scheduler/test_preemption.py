"""Who has to go so that a more important pod can come, purely and with the scheduler itself."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from minikube.api.core_v1 import Node, Pod
from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.api.policy_v1 import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from minikube.api.scheduling_v1 import PriorityClass
from minikube.scheduler.cycle import NoFit, find_node
from minikube.scheduler.plugins import PLUGINS
from minikube.scheduler.preemption import find_victims, not_eligible
from minikube.scheduler.scheduler import NAME, Scheduler
from tests.fakes.cluster import Cluster
from tests.unit.scheduler.nodes import cycle, node, pod

PLAIN = [plugin() for plugin in PLUGINS if "Volume" not in plugin.name]


def budget(allowed: int) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name="b", namespace="default", uid="b"),
        spec=PodDisruptionBudgetSpec(selector=LabelSelector(match_labels={"app": "web"})),
        status=PodDisruptionBudgetStatus(disruptions_allowed=allowed),
    )


def victims(nodes: list[Node], others: list[Pod], one: Pod, *budgets: PodDisruptionBudget) -> tuple[str, list[str]]:
    state = cycle(nodes, others)
    found = find_node(state, one, PLAIN, random.Random(1))
    assert isinstance(found, NoFit)
    chosen = find_victims(state, one, found, PLAIN, budgets)
    return (chosen.node, [other.metadata.name for other in chosen.pods]) if chosen is not None else ("", [])


VIP = pod("vip", cpu="2", priority=1000)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        # The node whose victim is less important.
        ([pod("x", "a", cpu="3", priority=10), pod("y", "b", cpu="3", priority=5)], ("b", ["y"])),
        # No more victims than needed, and the important ones stay.
        (
            [
                pod("x", "a", cpu="2", priority=10),
                pod("y", "a", cpu="2", priority=5),
                pod("z", "b", cpu="4", priority=2000),
            ],
            ("a", ["y"]),
        ),
        # Nobody of equal or higher priority.
        ([pod("x", "a", cpu="3", priority=1000), pod("y", "b", cpu="3", priority=1000)], ("", [])),
        # One victim rather than two, though together they are less important.
        (
            [
                pod("x", "a", cpu="3", priority=5),
                pod("x2", "a", cpu="1", priority=5),
                pod("y", "b", cpu="4", priority=5),
            ],
            ("a", ["x"]),
        ),
    ],
)
def test_the_cheapest_victims_are_chosen(others: list[Pod], expected: tuple[str, list[str]]) -> None:
    assert victims([node("a"), node("b")], others, VIP) == expected


def test_a_node_whose_victims_no_budget_guards_is_preferred() -> None:
    others = [pod("x", "a", cpu="3", priority=1, labels={"app": "web"}), pod("y", "b", cpu="3", priority=5)]
    assert victims([node("a"), node("b")], others, VIP, budget(0)) == ("b", ["y"])
    assert victims([node("a"), node("b")], others, VIP, budget(1)) == ("a", ["x"])


def test_a_policy_of_never_forbids_it() -> None:
    polite = msgspec.structs.replace(VIP, spec=msgspec.structs.replace(VIP.spec, preemption_policy="Never"))
    assert not_eligible(polite, ()) == "not eligible due to preemptionPolicy=Never."


async def test_the_scheduler_makes_room_says_so_and_moves_in_when_the_victim_is_gone() -> None:
    cluster = await Cluster.open()
    await cluster.client.create(PriorityClass(metadata=ObjectMeta(name="high"), value=1000))
    made = await cluster.client.create(node("a"))
    await cluster.client.update(msgspec.structs.replace(made, status=node("a").status), subresource="status")
    low = msgspec.structs.replace(pod("low", cpu="3"), status=pod("low").status)
    spec = msgspec.structs.replace(low.spec, scheduler_name=NAME)
    await cluster.client.create(msgspec.structs.replace(low, spec=spec, metadata=named("low")))
    scheduler = Scheduler(cluster.client, cluster.informers, cluster.told, cluster.clock)
    running = asyncio.create_task(scheduler.run())

    async def on(name: str) -> str:
        return (await cluster.client.get(Pod, name, "default")).spec.node_name

    async def low_is_placed() -> bool:
        return await on("low") == "a"

    async def vip_has_a_promise() -> bool:
        return (await cluster.client.get(Pod, "vip", "default")).status.nominated_node_name == "a"

    async def vip_is_placed() -> bool:
        return await on("vip") == "a"

    await cluster.until(low_is_placed)
    await cluster.client.patch(Pod, "low", "default", patch={"metadata": {"finalizers": ["example.com/hold"]}})
    spec = msgspec.structs.replace(VIP.spec, priority=1000, scheduler_name=NAME)
    await cluster.client.create(msgspec.structs.replace(VIP, spec=spec, metadata=named("vip")))
    await cluster.until(vip_has_a_promise)

    async def low_is_going() -> bool:
        return (await cluster.client.get(Pod, "low", "default")).metadata.deletion_timestamp is not None

    await cluster.until(low_is_going)
    victim = await cluster.client.get(Pod, "low", "default")
    target = next(one for one in victim.status.conditions if one.type == "DisruptionTarget")
    assert (target.reason, target.message) == (
        "PreemptionByScheduler",
        "default-scheduler: preempting to accommodate a higher priority pod",
    )
    await cluster.clock.sleep(2)
    await cluster.client.patch(Pod, "low", "default", patch={"metadata": {"finalizers": None}})
    await cluster.client.delete(Pod, "low", "default", grace_period_seconds=0)
    await cluster.until(vip_is_placed)

    async def all_is_told() -> bool:
        reasons = [reason for reason, _ in cluster.told.events]
        return reasons == ["Scheduled", "FailedScheduling", "Preempted", "Scheduled"]

    await cluster.until(all_is_told)
    running.cancel()


def named(name: str) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="default")
