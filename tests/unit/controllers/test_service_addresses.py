"""The addresses of services, as objects."""

from __future__ import annotations

from minikube.api.core_v1 import Service, ServicePort, ServiceSpec
from minikube.api.meta import Key, ObjectMeta
from minikube.api.networking_v1 import IPAddress, ServiceCIDR
from minikube.controllers.service_addresses import DEFAULT, ServiceAddressController, addresses_of
from tests.fakes.cluster import Cluster


async def test_an_address_is_shown_as_long_as_a_service_has_it() -> None:
    cluster = await Cluster.open()
    controller = ServiceAddressController(cluster.context())
    spec = ServiceSpec(ports=(ServicePort(port=80),))
    service = await cluster.client.create(Service(metadata=ObjectMeta(name="web", namespace="default"), spec=spec))
    (address,) = addresses_of(service)
    await controller.reconcile(Key("", address))
    found = await cluster.client.get(IPAddress, address)
    parent = found.spec.parent_ref
    assert (parent.resource, parent.namespace, parent.name) == ("services", "default", "web")
    await cluster.client.delete(Service, "web", "default")
    await controller.reconcile(Key("", address))
    assert (await cluster.client.list(IPAddress)).items == ()


async def test_the_default_range_is_there_and_ready() -> None:
    cluster = await Cluster.open()
    controller = ServiceAddressController(cluster.context())
    queued: list[Key] = []
    await controller.run(queued.append)
    await controller.reconcile(queued[0])
    found = await cluster.client.get(ServiceCIDR, DEFAULT)
    assert found.spec.cidrs == ("10.43.0.0/16",)
    assert [(one.type, one.status) for one in found.status.conditions] == [("Ready", "True")]


def test_a_headless_service_has_none() -> None:
    assert addresses_of(Service(spec=ServiceSpec(cluster_ip="None"))) == []
