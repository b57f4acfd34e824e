"""Nodes that fall silent, taints that drive pods out, and pods that nobody ends any more."""

from __future__ import annotations

import pytest

from minikube.api.core_v1 import Node, Pod, PodSpec, Taint, Toleration
from minikube.api.meta import Key, ObjectMeta
from minikube.controllers import podgc
from minikube.controllers.base import After
from minikube.controllers.nodes import NodeController
from minikube.controllers.podgc import PodGarbageController
from minikube.controllers.taint_eviction import TaintEvictionController, tolerates_for
from minikube.controllers.ttl import TTL, TtlController, seconds_for
from tests.fakes.cluster import Cluster, template

P = Key("default", "p")
GPU = Taint(key="gpu", value="yes", effect="NoExecute")


def tolerating(*tolerations: Toleration) -> Pod:
    spec = template().spec
    assert spec is not None
    return Pod(
        metadata=ObjectMeta(name="p", namespace="default"),
        spec=PodSpec(containers=spec.containers, node_name="n1", tolerations=tolerations),
    )


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ((), 0),
        ((Toleration(key="gpu", operator="Exists", effect="NoExecute"),), None),
        ((Toleration(key="gpu", operator="Equal", value="yes", toleration_seconds=5),), 5),
        ((Toleration(key="gpu", operator="Equal", value="no"),), 0),
        ((Toleration(operator="Exists", toleration_seconds=-3),), 0),
    ],
)
def test_how_long_a_pod_stays_beside_a_taint(tolerations: tuple[Toleration, ...], seconds: float | None) -> None:
    assert tolerates_for(tolerating(*tolerations), [GPU]) == seconds


class World:
    """A pod that tolerates the taint for five seconds, on its node."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.controller = TaintEvictionController(cluster.context())

    @classmethod
    async def open(cls) -> World:
        world = cls(await Cluster.open())
        await world.cluster.node("n1")
        limited = Toleration(key="gpu", operator="Exists", effect="NoExecute", toleration_seconds=5)
        await world.cluster.client.create(tolerating(limited))
        return world

    async def taint(self, *taints: Taint) -> None:
        found = [{"key": one.key, "value": one.value, "effect": one.effect} for one in taints]
        await self.cluster.client.patch(Node, "n1", patch={"spec": {"taints": found or None}})


async def test_a_pod_is_driven_out_when_its_toleration_runs_out() -> None:
    world = await World.open()
    await world.taint(GPU)
    assert await world.controller.reconcile(P) == After(5.0)
    await world.cluster.clock.sleep(3)
    assert await world.controller.reconcile(P) == After(2.0)
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    await world.cluster.client.patch(Pod, "p", "default", patch=hold)
    await world.cluster.clock.sleep(2)
    assert await world.controller.reconcile(P) is None
    pod = await world.cluster.client.get(Pod, "p", "default")
    assert pod.metadata.deletion_timestamp is not None
    assert [one.reason for one in pod.status.conditions if one.type == "DisruptionTarget"] == [
        "DeletionByTaintManager"
    ]


async def test_taking_the_taint_away_in_time_cancels_it() -> None:
    world = await World.open()
    await world.taint(GPU)
    await world.controller.reconcile(P)
    await world.taint()
    await world.cluster.clock.sleep(10)
    assert await world.controller.reconcile(P) is None
    assert len(await world.cluster.pods()) == 1
    assert world.cluster.told.events == [("TaintManagerEviction", "Cancelling deletion of Pod default/p")]


async def test_a_taint_is_work_for_the_pods_of_the_node_until_it_is_gone() -> None:
    world = await World.open()
    (watch,) = (one for one in world.controller.watches if one.kind is Node)
    node = await world.cluster.client.get(Node, "n1")
    assert list(watch.keys(node)) == []
    await world.taint(GPU)
    assert list(watch.keys(node)) == [P]
    await world.taint()
    assert list(watch.keys(node)) == [P]
    assert list(watch.keys(node)) == []


async def test_pods_of_a_node_that_stays_away_fail_and_go() -> None:
    world = await World.open()
    controller = PodGarbageController(world.cluster.context())
    await world.cluster.client.delete(Node, "n1")
    assert await controller.reconcile(Key("", "n1")) == After(podgc.QUARANTINE)
    assert len(await world.cluster.pods()) == 1
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    await world.cluster.client.patch(Pod, "p", "default", patch=hold)
    await world.cluster.clock.sleep(podgc.QUARANTINE)
    await controller.reconcile(Key("", "n1"))
    (pod,) = await world.cluster.pods()
    assert (pod.status.phase, pod.metadata.deletion_timestamp is not None) == ("Failed", True)
    assert [one.message for one in pod.status.conditions] == ["PodGC: node no longer exists"]


async def test_of_too_many_ended_pods_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World.open()
    monkeypatch.setattr(podgc, "ENDED_AT_MOST", 0)
    controller = PodGarbageController(world.cluster.context())
    (pod,) = await world.cluster.pods()
    ended = await world.cluster.phase(pod, "Succeeded")
    (watch,) = (one for one in controller.watches if one.kind is Pod)
    assert list(watch.keys(ended)) == [Key("", "")]
    await controller.reconcile(Key("", ""))
    assert await world.cluster.pods() == []


async def test_a_silent_node_becomes_unknown_and_is_tainted() -> None:
    cluster = await Cluster.open()
    await cluster.node("n1")
    controller = NodeController(cluster.context())
    await cluster.settle(controller, Key("", "n1"))
    await cluster.clock.sleep(51)
    await cluster.settle(controller, Key("", "n1"))
    node = await cluster.client.get(Node, "n1")
    assert [(one.type, one.status) for one in node.status.conditions] == [("Ready", "Unknown")]
    assert {(one.key, one.effect) for one in node.spec.taints} == {
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    }
    reasons = [reason for reason, _ in cluster.told.events]
    assert reasons == ["RegisteredNode", "NodeNotReady"]


async def test_nodes_are_told_how_long_to_believe() -> None:
    assert [seconds_for(count) for count in (1, 100, 101, 1000, 5000)] == [0, 0, 15, 30, 300]
    cluster = await Cluster.open()
    await cluster.node("n1")
    await TtlController(cluster.context()).reconcile(Key("", "n1"))
    assert (await cluster.client.get(Node, "n1")).metadata.annotations[TTL] == "0"
