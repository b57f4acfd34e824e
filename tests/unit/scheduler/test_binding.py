"""Reserve and PreBind: what they take is given back whenever a pod does not get bound."""

from __future__ import annotations

from typing import ClassVar

import pytest

from minikube.api.core_v1 import Container, Pod, PodSpec
from minikube.api.meta import ObjectMeta
from minikube.errors import Conflict
from minikube.scheduler.binding import BindError, Gone, bind, reserve
from minikube.scheduler.framework import Cycle, Handle, Reject
from tests.fakes.cluster import Cluster


class Slots:
    """A plugin with one slot a node; `broken` fails its PreBind."""

    name: ClassVar[str] = "Slots"

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}
        self.broken = False

    def reserve(self, cycle: Cycle, pod: Pod, node: str) -> Reject | None:
        if self.taken.get(node, pod.metadata.name) != pod.metadata.name:
            return Reject("node(s) had no slot")
        self.taken[node] = pod.metadata.name
        return None

    def unreserve(self, cycle: Cycle, pod: Pod, node: str) -> None:
        if self.taken.get(node) == pod.metadata.name:
            del self.taken[node]

    async def pre_bind(self, handle: Handle, cycle: Cycle, pod: Pod, node: str) -> None:
        if self.broken:
            raise Conflict("someone was faster")


class Full:
    name: ClassVar[str] = "Full"

    def reserve(self, cycle: Cycle, pod: Pod, node: str) -> Reject | None:
        return Reject("node(s) are full")


def a_pod(name: str) -> Pod:
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=PodSpec(containers=(Container(name="main", image="nginx"),)),
    )


async def open_handle() -> tuple[Cluster, Handle]:
    cluster = await Cluster.open()
    return cluster, Handle(cluster.client, cluster.informers, cluster.told, cluster.clock)


def test_a_refusal_gives_back_what_was_reserved_and_names_the_plugin() -> None:
    slots = Slots()
    refused = reserve([slots, Full()], Cycle(), a_pod("a"), "n1")
    assert refused == Reject("node(s) are full", plugin="Full")
    assert slots.taken == {}


async def test_a_bound_pod_keeps_its_slot() -> None:
    cluster, handle = await open_handle()
    await cluster.node("n1")
    slots = Slots()
    pod = await cluster.client.create(a_pod("a"))
    assert reserve([slots], Cycle(), pod, "n1") is None
    await bind(handle, [slots], Cycle(), pod, "n1")
    assert slots.taken == {"n1": "a"}
    assert (await cluster.client.get(Pod, "a", "default")).spec.node_name == "n1"


async def test_a_failing_pre_bind_gives_the_slot_back() -> None:
    cluster, handle = await open_handle()
    slots = Slots()
    slots.broken = True
    pod = await cluster.client.create(a_pod("a"))
    reserve([slots], Cycle(), pod, "n1")
    with pytest.raises(BindError, match='running PreBind plugin "Slots": someone was faster'):
        await bind(handle, [slots], Cycle(), pod, "n1")
    assert slots.taken == {}


async def test_a_pod_deleted_meanwhile_gives_the_slot_back() -> None:
    _, handle = await open_handle()
    slots = Slots()
    pod = a_pod("never-created")
    reserve([slots], Cycle(), pod, "n1")
    with pytest.raises(Gone):
        await bind(handle, [slots], Cycle(), pod, "n1")
    assert slots.taken == {}
