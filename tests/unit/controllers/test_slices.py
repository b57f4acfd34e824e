"""EndpointSlices: where endpoints go, and mirroring of Endpoints that people write."""

from __future__ import annotations

from minikube.api.core_v1 import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Service,
    ServicePort,
    ServiceSpec,
)
from minikube.api.discovery_v1 import Endpoint, EndpointSlice
from minikube.api.discovery_v1 import EndpointPort as SlicePort
from minikube.api.meta import Key, ObjectMeta
from minikube.controllers.endpointslicemirroring import EndpointSliceMirroringController
from minikube.controllers.slices import MOST, Group, plan_slices
from tests.fakes.cluster import Cluster

META = ObjectMeta(generate_name="web-", namespace="default", labels={"app": "web"})
HTTP, DNS = (SlicePort(name="http", port=80),), (SlicePort(name="dns", port=53),)


def group(count: int, ports: tuple[SlicePort, ...] = HTTP, start: int = 0) -> Group:
    addresses = (f"10.0.{n // 250}.{n % 250}" for n in range(start, start + count))
    return Group("IPv4", ports, tuple(Endpoint(addresses=(address,)) for address in addresses))


def made(*groups: Group) -> list[EndpointSlice]:
    return list(plan_slices([], groups, META).create)


def test_many_endpoints_are_spread_over_slices_of_a_hundred() -> None:
    assert [len(one.endpoints) for one in made(group(2 * MOST + 5))] == [MOST, MOST, 5]


def test_without_endpoints_there_is_one_empty_slice_that_is_left_alone() -> None:
    (empty,) = made(Group("IPv4"))
    assert (empty.endpoints, empty.ports) == ((), ())
    plan = plan_slices([empty], [Group("IPv4")], META)
    assert (plan.create, plan.update, plan.delete) == ((), (), ())


def test_one_more_endpoint_changes_one_slice_only() -> None:
    existing = made(group(MOST + 1))
    plan = plan_slices(existing, [group(MOST + 2)], META)
    assert [len(one.endpoints) for one in plan.update] == [2]
    assert (plan.create, plan.delete) == ((), ())


def test_a_slice_that_is_no_longer_needed_becomes_the_one_that_is() -> None:
    (old,) = made(group(3))
    plan = plan_slices([old], [group(3, DNS)], META)
    assert [one.ports for one in plan.update] == [DNS]
    assert (plan.create, plan.delete) == ((), ())


def test_an_emptied_slice_goes_when_others_are_left() -> None:
    existing = made(group(MOST + 1))
    plan = plan_slices(existing, [group(MOST)], META)
    assert plan.delete == (existing[1],)
    assert plan.update == ()


def test_a_label_that_the_service_no_longer_has_goes() -> None:
    (old,) = made(group(3))
    meta = ObjectMeta(generate_name="web-", namespace="default", labels={"tier": "front"})
    (changed,) = plan_slices([old], [group(3)], meta).update
    assert changed.metadata.labels == {"tier": "front"}
    (reused,) = plan_slices([old], [group(3, DNS)], meta).update
    assert reused.metadata.labels == {"tier": "front"}


class World:
    """A service without selector and its Endpoints."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.controller = EndpointSliceMirroringController(cluster.context())

    @classmethod
    async def open(cls, labels: dict[str, str] | None = None) -> World:
        world = cls(await Cluster.open())
        meta = ObjectMeta(name="custom", namespace="default")
        await world.cluster.client.create(Service(metadata=meta, spec=ServiceSpec(ports=(ServicePort(port=80),))))
        subset = EndpointSubset(
            addresses=(EndpointAddress(ip="10.1.2.3"),),
            not_ready_addresses=(EndpointAddress(ip="fd00::1"),),
            ports=(EndpointPort(name="http", port=9999),),
        )
        meta = ObjectMeta(name="custom", namespace="default", labels=labels or {})
        await world.cluster.client.create(Endpoints(metadata=meta, subsets=(subset,)))
        await world.settle()
        return world

    async def settle(self) -> None:
        await self.controller.reconcile(Key("default", "custom"))

    async def slices(self) -> list[tuple[str, str, bool | None]]:
        found = (await self.cluster.client.list(EndpointSlice, "default")).items
        return sorted(
            (one.address_type, address, endpoint.conditions.ready if endpoint.conditions else None)
            for one in found
            for endpoint in one.endpoints
            for address in endpoint.addresses
        )


async def test_endpoints_are_mirrored_by_family_as_long_as_they_are_there() -> None:
    world = await World.open()
    assert await world.slices() == [("IPv4", "10.1.2.3", True), ("IPv6", "fd00::1", False)]
    patch = {"subsets": [{"addresses": [{"ip": "10.2.3.4"}], "ports": [{"name": "http", "port": 9999}]}]}
    await world.cluster.client.patch(Endpoints, "custom", "default", patch=patch)
    await world.settle()
    assert await world.slices() == [("IPv4", "10.2.3.4", True)]
    await world.cluster.client.delete(Endpoints, "custom", "default")
    await world.settle()
    assert await world.slices() == []


async def test_endpoints_that_ask_not_to_be_mirrored_are_not() -> None:
    world = await World.open({"endpointslice.kubernetes.io/skip-mirror": "true"})
    assert await world.slices() == []


def test_of_several_emptied_slices_one_stays() -> None:
    existing = made(group(MOST + 1))
    plan = plan_slices(existing, [Group("IPv4", HTTP)], META)
    assert ([len(one.endpoints) for one in plan.update], len(plan.delete)) == ([0], 1)
