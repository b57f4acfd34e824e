"""Quotas: what counts, what is refused, and that nobody together uses more than there is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from minikube.api.core_v1 import (
    ConfigMap,
    Container,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    Pod,
    PodSpec,
    ResourceQuota,
    ResourceQuotaSpec,
    Service,
    ServicePort,
    ServiceSpec,
    VolumeResourceRequirements,
)
from minikube.api.core_v1 import ResourceRequirements as Resources
from minikube.api.meta import Key, ObjectMeta
from minikube.controllers.resourcequota import ResourceQuotaController
from minikube.errors import AlreadyExists, Forbidden
from minikube.store.base import Record
from minikube.store.memory import MemoryStore
from tests.fakes.cluster import Cluster

KEY = Key("default", "q")


class Scene:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.admit("ResourceQuota")
        self.controller = ResourceQuotaController(cluster.context())

    async def quota(self, name: str = "q", *scopes: str, **hard: str) -> None:
        spec = ResourceQuotaSpec(hard={key.replace("_", "."): value for key, value in hard.items()}, scopes=scopes)
        await self.cluster.client.create(ResourceQuota(metadata=meta(name), spec=spec))
        await self.count(name)

    async def count(self, name: str = "q") -> None:
        """What the controller does once the quota is at rest."""
        key = Key("default", name)
        await self.controller.reconcile(key)
        self.cluster.clock.at += timedelta(seconds=2)
        await self.controller.reconcile(key)

    async def used(self, name: str = "q") -> dict[str, Any]:
        return dict((await self.cluster.client.get(ResourceQuota, name, "default")).status.used)

    async def pod(self, name: str, requests: Mapping[str, str] | None = None, **spec: Any) -> Pod:
        limits = {name: amount for name, amount in (requests or {}).items() if "/" in name}
        resources = Resources(requests=requests or {}, limits=limits)
        made = PodSpec(containers=(Container(name="c", image="x", resources=resources),), **spec)
        return await self.cluster.client.create(Pod(metadata=meta(name), spec=made))

    async def refused(self, creating: Awaitable[object], why: str) -> None:
        with pytest.raises(Forbidden, match=re.escape(why)):
            await creating


def meta(name: str) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="default")


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene(Scene(await Cluster.open()))

    asyncio.run(run())


def test_pods_are_charged_what_they_request_until_it_is_used_up() -> None:
    async def scene(made: Scene) -> None:
        await made.quota(pods="3", cpu="1", requests_memory="1Gi", **{"requests.example.com/gpu": "1"})
        assert await made.used() == {
            "pods": "0",
            "cpu": "0",
            "requests.memory": "0",
            "requests.example.com/gpu": "0",
        }
        await made.pod("a", {"cpu": "500m", "memory": "252Mi", "example.com/gpu": "1"})
        used = {"pods": "1", "cpu": "500m", "requests.memory": "252Mi", "requests.example.com/gpu": "1"}
        assert await made.used() == used
        await made.refused(
            made.pod("b", {"cpu": "600m", "memory": "1Mi"}),
            'pods "b" is forbidden: exceeded quota: q, requested: cpu=600m, used: cpu=500m, limited: cpu=1',
        )
        await made.refused(made.pod("c"), "failed quota: q: must specify cpu for: c; requests.memory for: c")
        await made.cluster.client.delete(Pod, "a", "default", grace_period_seconds=0)
        await made.count()
        assert await made.used() == dict.fromkeys(used, "0")

    play(scene)


def test_concurrent_creates_never_use_more_than_there_is() -> None:
    async def scene(made: Scene) -> None:
        await made.quota(pods="5")
        await made.quota("other", pods="7")
        done = await asyncio.gather(*(made.pod(f"p{n}") for n in range(20)), return_exceptions=True)
        assert sum(isinstance(one, Pod) for one in done) == 5
        assert all(isinstance(one, Pod | Forbidden) for one in done)
        assert (await made.used(), await made.used("other")) == ({"pods": "5"}, {"pods": "5"})

    play(scene)


def test_a_reservation_is_not_counted_away_before_its_object_is_there() -> None:
    async def scene(made: Scene) -> None:
        await made.quota(pods="1")
        cluster = made.cluster
        quota = await cluster.client.get(ResourceQuota, "q", "default")
        reserved = {"status": {"used": {"pods": "1"}}}
        await cluster.client.patch(ResourceQuota, "q", "default", patch=reserved, subresource="status")
        await made.controller.reconcile(KEY)
        assert await made.used() == {"pods": "1"}
        await made.count()
        assert await made.used() == {"pods": "0"}
        assert quota.spec.hard == {"pods": "1"}

    play(scene)


def test_a_write_that_takes_its_time_is_not_counted_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the store takes to keep an object: nobody gets its place in the quota meanwhile."""
    goes_on = asyncio.Event()
    create = MemoryStore.create

    async def slowly(self: MemoryStore, key: str, value: bytes, **how: Any) -> Record:
        if key.endswith("/slow"):
            await goes_on.wait()
        return await create(self, key, value, **how)

    async def scene(made: Scene) -> None:
        await made.quota(pods="1")
        monkeypatch.setattr(MemoryStore, "create", slowly)
        waiting = asyncio.create_task(made.pod("slow"))
        await made.cluster.until(lambda: charged(made))
        for _ in range(3):
            await made.count()
        await made.refused(made.pod("quick"), "exceeded quota: q")
        goes_on.set()
        await waiting
        await made.count()
        assert await made.used() == {"pods": "1"}
        await made.cluster.client.delete(Pod, "slow", "default", grace_period_seconds=0)
        await made.count()
        await made.pod("quick")

    async def charged(made: Scene) -> bool:
        return await made.used() == {"pods": "1"}

    play(scene)


def test_what_was_reserved_for_an_object_that_never_came_comes_back() -> None:
    async def scene(made: Scene) -> None:
        await made.quota(pods="2")
        await made.pod("a")
        with pytest.raises(AlreadyExists):
            await made.pod("a")
        assert await made.used() == {"pods": "2"}
        await made.count()
        assert await made.used() == {"pods": "1"}

    play(scene)


def test_scopes_choose_the_pods() -> None:
    async def scene(made: Scene) -> None:
        await made.quota("ending", "Terminating", pods="5")
        await made.quota("lasting", "NotTerminating", pods="5")
        await made.quota("best", "BestEffort", pods="5")
        await made.quota("better", "NotBestEffort", pods="5")
        await made.pod("a", active_deadline_seconds=60)
        await made.pod("b", {"cpu": "1"})
        found = [(await made.used(name))["pods"] for name in ("ending", "lasting", "best", "better")]
        assert found == ["1"] * 4
        for name in ("ending", "lasting", "best", "better"):
            await made.count(name)
            assert await made.used(name) == {"pods": "1"}

    play(scene)


def test_objects_are_counted_by_any_of_their_names() -> None:
    async def scene(made: Scene) -> None:
        await made.quota(configmaps="1", **{"count/configmaps": "5"})
        await made.cluster.client.create(ConfigMap(metadata=meta("a")))
        assert await made.used() == {"configmaps": "1", "count/configmaps": "1"}
        await made.refused(
            made.cluster.client.create(ConfigMap(metadata=meta("b"))),
            "exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1",
        )
        await made.cluster.client.delete(ConfigMap, "a", "default")
        await made.count()
        assert await made.used() == {"configmaps": "0", "count/configmaps": "0"}

    play(scene)


def test_services_are_charged_for_node_ports_and_for_what_they_become() -> None:
    async def scene(made: Scene) -> None:
        await made.quota(services="5", services_nodeports="1", services_loadbalancers="1")
        ports = (ServicePort(name="a", port=80), ServicePort(name="b", port=81))
        await made.refused(
            made.cluster.client.create(
                Service(metadata=meta("two"), spec=ServiceSpec(type="NodePort", ports=ports))
            ),
            "exceeded quota: q, requested: services.nodeports=2, used: services.nodeports=0",
        )
        await made.cluster.client.create(Service(metadata=meta("one"), spec=ServiceSpec(ports=ports[:1])))
        change = {"spec": {"type": "LoadBalancer"}}
        await made.cluster.client.patch(Service, "one", "default", patch=change)
        assert await made.used() == {"services": "1", "services.nodeports": "1", "services.loadbalancers": "1"}

    play(scene)


def test_claims_are_charged_by_size_and_class() -> None:
    async def scene(made: Scene) -> None:
        by_class = "gold.storageclass.storage.k8s.io/requests.storage"
        await made.quota(persistentvolumeclaims="2", requests_storage="10Gi", **{by_class: "5Gi"})
        spec = PersistentVolumeClaimSpec(
            storage_class_name="gold",
            access_modes=("ReadWriteOnce",),
            resources=VolumeResourceRequirements(requests={"storage": "3Gi"}),
        )
        await made.cluster.client.create(PersistentVolumeClaim(metadata=meta("a"), spec=spec))
        used = {"persistentvolumeclaims": "1", "requests.storage": "3Gi", by_class: "3Gi"}
        assert await made.used() == used
        await made.refused(
            made.cluster.client.create(PersistentVolumeClaim(metadata=meta("b"), spec=spec)),
            f"exceeded quota: q, requested: {by_class}=3Gi, used: {by_class}=3Gi, limited: {by_class}=5Gi",
        )

    play(scene)


def test_a_quota_that_nobody_has_counted_yet_limits_nothing_and_a_dry_run_reserves_nothing() -> None:
    async def scene(made: Scene) -> None:
        spec = ResourceQuotaSpec(hard={"configmaps": "0"})
        await made.cluster.client.create(ResourceQuota(metadata=meta("new"), spec=spec))
        await made.cluster.client.create(ConfigMap(metadata=meta("a")))
        await made.quota(configmaps="3")
        await made.cluster.client.create(ConfigMap(metadata=meta("b")), dry_run=True)
        assert await made.used() == {"configmaps": "1"}

    play(scene)


def test_the_controller_brings_the_status_back_to_the_spec() -> None:
    async def scene(made: Scene) -> None:
        await made.quota(pods="3")
        wrong = {"status": {"hard": {"pods": "99"}}}
        await made.cluster.client.patch(ResourceQuota, "q", "default", patch=wrong, subresource="status")
        await made.controller.reconcile(KEY)
        assert (await made.cluster.client.get(ResourceQuota, "q", "default")).status.hard == {"pods": "3"}

    play(scene)
