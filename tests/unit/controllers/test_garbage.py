"""Garbage collection and namespace deletion over a real registry in memory, custom resources included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from minikube.api.apiextensions_v1 import CustomResourceDefinition
from minikube.api.core_v1 import ConfigMap, Namespace, NamespaceStatus, Pod
from minikube.api.meta import Key, ObjectMeta, OwnerReference, Resource, from_dict
from minikube.controllers.garbage import GarbageCollector
from minikube.controllers.garbage_graph import FOREGROUND
from minikube.controllers.namespace import NamespaceController
from minikube.controllers.namespace_status import Leftover, status_of
from minikube.registry.base import Request
from minikube.registry.custom import CustomResources
from tests.fakes.cluster import Cluster, HandClock, template

HOLD = "example.com/hold"


class World:
    """ConfigMaps that own each other."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def make(self, name: str, *owners: ConfigMap, finalizers: tuple[str, ...] = ()) -> ConfigMap:
        meta = ObjectMeta(
            name=name, namespace="default", owner_references=tuple(map(owned, owners)), finalizers=finalizers
        )
        return await self.cluster.client.create(ConfigMap(metadata=meta))

    async def owners(self, name: str) -> list[str]:
        found = await self.cluster.client.get(ConfigMap, name, "default")
        return [owner.name for owner in found.metadata.owner_references]

    async def delete(self, name: str, policy: str) -> None:
        await self.cluster.client.delete(ConfigMap, name, "default", propagation_policy=policy)

    async def names(self) -> list[str]:
        return sorted(one.metadata.name for one in (await self.cluster.client.list(ConfigMap, "default")).items)

    async def become(self, *names: str) -> None:
        async def holds() -> bool:
            return await self.names() == sorted(names)

        await self.cluster.until(holds)


def owned(owner: ConfigMap, *, blocks: bool = True) -> OwnerReference:
    return OwnerReference(
        api_version="v1",
        kind="ConfigMap",
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        block_owner_deletion=blocks,
    )


@asynccontextmanager
async def collecting() -> AsyncIterator[World]:
    cluster = await Cluster.open()
    collector = GarbageCollector(cluster.client, cluster.informers, cluster.told)
    running = asyncio.create_task(collector.run())
    try:
        yield World(cluster)
    finally:
        running.cancel()


async def test_dependents_go_after_their_owner_and_strangers_stay() -> None:
    async with collecting() as world:
        owner = await world.make("owner")
        middle = await world.make("middle", owner)
        await world.make("last", middle)
        await world.make("stranger")
        await world.delete("owner", "Background")
        await world.become("stranger")


async def test_an_object_that_names_an_owner_that_never_was_goes() -> None:
    async with collecting() as world:
        ghost = ConfigMap(metadata=ObjectMeta(name="ghost", namespace="default", uid="no-such-uid"))
        await world.make("dependent", ghost)
        await world.become()


async def test_an_owner_deleted_in_the_foreground_waits_for_its_dependents() -> None:
    async with collecting() as world:
        owner = await world.make("owner")
        await world.make("dependent", owner, finalizers=(HOLD,))
        await world.delete("owner", "Foreground")

        async def dependent_is_going() -> bool:
            found = await world.cluster.client.get(ConfigMap, "dependent", "default")
            return found.metadata.deletion_timestamp is not None

        await world.cluster.until(dependent_is_going)
        found = await world.cluster.client.get(ConfigMap, "owner", "default")
        assert found.metadata.finalizers == (FOREGROUND,)
        patch = {"metadata": {"finalizers": None}}
        await world.cluster.client.patch(ConfigMap, "dependent", "default", patch=patch)
        await world.become()


async def test_orphans_stay_without_the_reference() -> None:
    async with collecting() as world:
        owner = await world.make("owner")
        await world.make("dependent", owner)
        await world.delete("owner", "Orphan")
        await world.become("dependent")
        assert await world.owners("dependent") == []


async def test_a_dependent_with_another_owner_stays_when_one_waits_for_it() -> None:
    async with collecting() as world:
        going, staying = await world.make("going"), await world.make("staying")
        await world.make("dependent", going, staying)
        await world.delete("going", "Foreground")
        await world.become("dependent", "staying")
        assert await world.owners("dependent") == ["staying"]


async def test_a_circle_does_not_block_itself() -> None:
    async with collecting() as world:
        first = await world.make("first")
        second = await world.make("second", first)
        third = await world.make("third", second)
        patch = {"metadata": {"ownerReferences": [{**reference(third), "blockOwnerDeletion": True}]}}
        await world.cluster.client.patch(ConfigMap, "first", "default", patch=patch)
        await world.delete("first", "Foreground")
        await world.become()


def reference(obj: ConfigMap) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": obj.metadata.name, "uid": obj.metadata.uid}


WIDGETS = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
WIDGET = Resource("example.com", "v1", "Widget", "widgets", namespaced=True)


async def define_widgets(cluster: Cluster) -> None:
    custom = CustomResources(cluster.registry)
    custom.start()
    await cluster.client.create(from_dict(CustomResourceDefinition, WIDGETS))


async def make_widget(cluster: Cluster, namespace: str, **metadata: Any) -> str:
    kind = cluster.registry.find("example.com", "v1", "widgets")
    assert kind is not None
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": namespace, **metadata},
    }
    request = Request(user=cluster.client._user, field_manager="test")
    return (await cluster.registry.create(kind, namespace, body, request)).uid


async def test_custom_resources_own_and_are_owned_also_when_defined_later() -> None:
    async with collecting() as world:
        cluster = world.cluster
        await asyncio.sleep(0)
        await define_widgets(cluster)
        owner = await world.make("owner")
        uid = await make_widget(cluster, "default", ownerReferences=[reference(owner)])
        below = OwnerReference(api_version="example.com/v1", kind="Widget", name="w", uid=uid)
        meta = ObjectMeta(name="below", namespace="default", owner_references=(below,))
        await cluster.client.create(ConfigMap(metadata=meta))
        await world.delete("owner", "Background")
        await world.become()
        assert (await cluster.client.list_partial(WIDGET, "default")).items == ()


async def test_a_namespace_goes_when_its_last_object_does_and_says_what_it_waits_for() -> None:
    cluster = await Cluster.open()
    await define_widgets(cluster)
    controller = NamespaceController(cluster.context())
    queued: asyncio.Queue[Key] = asyncio.Queue()
    running = asyncio.create_task(controller.run(queued.put_nowait))
    await cluster.client.create(Namespace(metadata=ObjectMeta(name="x")))
    await cluster.client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="x")))
    await make_widget(cluster, "x", finalizers=[HOLD])
    await cluster.client.delete(Namespace, "x")
    assert await controller.reconcile(Key("", "x")) is None
    status = (await cluster.client.get(Namespace, "x")).status
    said = {one.type: one.message for one in status.conditions if one.status == "True"}
    assert said == {
        "NamespaceContentRemaining": "Some resources are remaining: widgets.example.com has 1 resource instances",
        "NamespaceFinalizersRemaining": "Some content in the namespace has finalizers remaining: "
        "example.com/hold in 1 resource instances",
    }
    await cluster.client.patch_partial(WIDGET, "w", "x", patch={"metadata": {"finalizers": None}})
    assert await queued.get() == Key("", "x")
    await controller.reconcile(Key("", "x"))
    running.cancel()
    assert "x" not in [one.metadata.name for one in (await cluster.client.list(Namespace)).items]


def test_a_namespace_whose_content_cannot_be_deleted_says_so() -> None:
    status = status_of(NamespaceStatus(), [], ["no", "no"], [], HandClock().now())
    failed = next(one for one in status.conditions if one.type == "NamespaceDeletionContentFailure")
    assert (failed.status, failed.message) == ("True", "Failed to delete all resource types, 2 remaining: no")
    left = [Leftover(WIDGET, "u", ())]
    again = status_of(status, left, [], [], HandClock().now())
    assert [one.reason for one in again.conditions][2:] == [
        "ContentDeleted",
        "SomeResourcesRemain",
        "ContentHasNoFinalizers",
    ]


async def test_pods_go_before_anything_else() -> None:
    cluster = await Cluster.open()
    controller = NamespaceController(cluster.context())
    queued: asyncio.Queue[Key] = asyncio.Queue()
    running = asyncio.create_task(controller.run(queued.put_nowait))
    await cluster.client.create(Namespace(metadata=ObjectMeta(name="x")))
    await cluster.client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="x")))
    spec = template().spec
    assert spec is not None
    meta = ObjectMeta(name="p", namespace="x", finalizers=(HOLD,))
    await cluster.client.create(Pod(metadata=meta, spec=spec))
    await cluster.client.delete(Namespace, "x")
    await controller.reconcile(Key("", "x"))
    assert (await cluster.client.get(ConfigMap, "a", "x")).metadata.deletion_timestamp is None
    await cluster.client.patch(Pod, "p", "x", patch={"metadata": {"finalizers": None}})
    assert await queued.get() == Key("", "x")
    await controller.reconcile(Key("", "x"))
    running.cancel()
    assert "x" not in [one.metadata.name for one in (await cluster.client.list(Namespace)).items]
