"""Every served group version has its APIService."""

from __future__ import annotations

from typing import Any

import msgspec

from minikube.api.apiextensions_v1 import CustomResourceDefinition
from minikube.api.apiregistration_v1 import APIService, ServiceReference
from minikube.api.meta import Key, from_dict
from minikube.controllers.api_services import (
    MANAGED,
    APIServiceController,
    api_service,
    built_in,
    ensure_api_services,
)
from tests.fakes.cluster import Cluster

KEY = Key("", "v1.example.com")
ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}


async def define(cluster: Cluster, plural: str, *, serves: bool = True) -> CustomResourceDefinition:
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions: list[dict[str, Any]] = [{"name": "v1", "served": serves, "storage": True, "schema": schema}]
    names = {"plural": plural, "kind": plural.capitalize()}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": versions}
    tree = {"metadata": {"name": f"{plural}.example.com"}, "spec": spec, "status": ESTABLISHED}
    wanted = from_dict(CustomResourceDefinition, tree)
    made = await cluster.client.create(wanted)
    return await cluster.client.update(msgspec.structs.replace(made, status=wanted.status), subresource="status")


async def there(cluster: Cluster, name: str) -> APIService | None:
    return cluster.informers.of(APIService).lister.get(name)


async def test_built_in_group_versions_are_local_and_available() -> None:
    cluster = await Cluster.open()
    await ensure_api_services(cluster.client)
    await ensure_api_services(cluster.client)
    controller = APIServiceController(cluster.context())
    for service in built_in():
        await controller.reconcile(Key("", service.metadata.name))
    found = {one.metadata.name: one for one in (await cluster.client.list(APIService)).items}
    assert {"v1.", "v1.apps", "v2.autoscaling", "v1.rbac.authorization.k8s.io"} <= found.keys()
    assert "v1.apiregistration.k8s.io" not in found
    core = found["v1."]
    assert (core.spec.group, core.spec.version, core.spec.group_priority_minimum) == ("", "v1", 18000)
    assert core.metadata.labels == {MANAGED: "onstart"}
    assert {(one.status.conditions[0].status, one.status.conditions[0].reason) for one in found.values()} == {
        ("True", "Local")
    }


async def test_those_of_custom_resources_come_and_go_with_their_definitions() -> None:
    cluster = await Cluster.open()
    controller = APIServiceController(cluster.context())
    first, second = await define(cluster, "widgets"), await define(cluster, "gadgets")
    await cluster.settle(controller, KEY)
    made = await there(cluster, KEY.name)
    assert made is not None
    assert (made.metadata.labels, made.spec.group_priority_minimum) == ({MANAGED: "true"}, 1000)
    assert made.status.conditions[0].status == "True"
    await cluster.client.delete(CustomResourceDefinition, first.metadata.name)
    await cluster.settle(controller, KEY)
    assert await there(cluster, KEY.name) is not None
    await cluster.client.delete(CustomResourceDefinition, second.metadata.name)
    await cluster.settle(controller, KEY)
    assert await there(cluster, KEY.name) is None


async def test_versions_that_are_not_served_have_none() -> None:
    cluster = await Cluster.open()
    await define(cluster, "widgets", serves=False)
    await cluster.settle(APIServiceController(cluster.context()), KEY)
    assert await there(cluster, KEY.name) is None


async def test_what_names_a_service_is_left_alone() -> None:
    cluster = await Cluster.open()
    wanted = api_service("example.com", "v1", "", (100, 100))
    backend = ServiceReference(name="s", namespace="default")
    spec = msgspec.structs.replace(wanted.spec, service=backend)
    await cluster.client.create(msgspec.structs.replace(wanted, spec=spec))
    await cluster.settle(APIServiceController(cluster.context()), KEY)
    found = await there(cluster, KEY.name)
    assert found is not None
    assert found.status.conditions == ()
