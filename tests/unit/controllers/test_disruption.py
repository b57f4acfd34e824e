"""Disruption budgets: their status, and evictions that they let through or refuse."""

from __future__ import annotations

import pytest

from minikube.api.apps_v1 import ReplicaSet, ReplicaSetSpec
from minikube.api.core_v1 import Pod
from minikube.api.meta import Key, ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.api.policy_v1 import Eviction, PodDisruptionBudget, PodDisruptionBudgetSpec
from minikube.controllers.base import After
from minikube.controllers.disruption import (
    DisruptionController,
    Expected,
    StaleDisruptionController,
    expected,
)
from minikube.controllers.replicaset import ReplicaSetController
from minikube.errors import TooManyRequests
from tests.fakes.cluster import Cluster, template

WEB = Key("default", "web")
META = ObjectMeta(name="web", namespace="default")
SELECTOR = LabelSelector(match_labels={"app": "web"})


def budget(minimum: int | str | None = None, maximum: int | str | None = None) -> PodDisruptionBudget:
    spec = PodDisruptionBudgetSpec(min_available=minimum, max_unavailable=maximum, selector=SELECTOR)
    return PodDisruptionBudget(metadata=META, spec=spec)


class World:
    """Three ready pods of a ReplicaSet behind a budget."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.controller = DisruptionController(cluster.context())
        self.sets = ReplicaSetController(cluster.context())

    @classmethod
    async def open(cls, guard: PodDisruptionBudget, *, ready: bool = True) -> World:
        world = cls(await Cluster.open())
        spec = ReplicaSetSpec(replicas=3, selector=SELECTOR, template=template())
        await world.cluster.client.create(ReplicaSet(metadata=META, spec=spec))
        await world.cluster.settle(world.sets, WEB)
        for pod in await world.cluster.pods():
            await world.cluster.phase(pod, "Running", ready=ready)
        await world.cluster.client.create(guard)
        await world.controller.reconcile(WEB)
        return world

    async def status(self) -> tuple[int | None, int | None, int | None, int | None]:
        status = (await self.cluster.client.get(PodDisruptionBudget, "web", "default")).status
        return status.disruptions_allowed, status.current_healthy, status.desired_healthy, status.expected_pods

    async def evict(self, name: str) -> None:
        body = Eviction(metadata=ObjectMeta(name=name, namespace="default"))
        await self.cluster.client.create_subresource(Pod, name, "default", "eviction", body)

    async def names(self) -> list[str]:
        return [p.metadata.name for p in await self.cluster.pods() if p.metadata.deletion_timestamp is None]


@pytest.mark.parametrize(
    ("guard", "wanted"),
    [
        (budget(minimum=2), Expected(3, 2)),
        (budget(minimum="50%"), Expected(10, 5)),
        (budget(maximum=1), Expected(10, 9)),
        (budget(maximum="25%"), Expected(10, 7)),
        (budget(maximum=12), Expected(10, 0)),
    ],
)
def test_what_must_stay_is_a_number_or_a_share_of_the_scale(guard: PodDisruptionBudget, wanted: Expected) -> None:
    """3 pods are there, their controllers want 10; shares are rounded up."""
    assert expected(guard, 3, 10) == wanted


async def test_the_status_counts_healthy_pods_and_what_may_go() -> None:
    world = await World.open(budget(maximum="34%"))
    assert await world.status() == (2, 3, 1, 3)


async def test_an_eviction_is_refused_until_the_budget_allows_it() -> None:
    world = await World.open(budget(minimum=3))
    (first, *_) = await world.names()
    with pytest.raises(TooManyRequests) as caught:
        await world.evict(first)
    assert caught.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert caught.value.causes == (
        {
            "reason": "DisruptionBudget",
            "message": "The disruption budget web needs 3 healthy pods and has 3 currently",
        },
    )
    patch = {"spec": {"minAvailable": 2}}
    await world.cluster.client.patch(PodDisruptionBudget, "web", "default", patch=patch)
    with pytest.raises(TooManyRequests) as caught:
        await world.evict(first)
    assert caught.value.retry_after == 10
    await world.controller.reconcile(WEB)
    await world.evict(first)
    assert first not in await world.names()


async def test_an_evicted_pod_says_so_and_takes_the_only_allowed_disruption() -> None:
    world = await World.open(budget(minimum=2))
    first, second, _ = await world.names()
    patch = {"metadata": {"finalizers": ["example.com/hold"]}}
    await world.cluster.client.patch(Pod, first, "default", patch=patch)
    await world.evict(first)
    pod = await world.cluster.client.get(Pod, first, "default")
    target = next(one for one in pod.status.conditions if one.type == "DisruptionTarget")
    assert (target.reason, target.message) == ("EvictionByEvictionAPI", "Eviction API: evicting")
    with pytest.raises(TooManyRequests):
        await world.evict(second)


async def test_unready_pods_go_when_always_allowed() -> None:
    guard = budget(minimum=3)
    world = await World.open(guard, ready=False)
    (first, *_) = await world.names()
    with pytest.raises(TooManyRequests):
        await world.evict(first)
    patch = {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}
    await world.cluster.client.patch(PodDisruptionBudget, "web", "default", patch=patch)
    await world.evict(first)
    assert first not in await world.names()


async def test_a_pod_that_was_evicted_but_never_deleted_counts_again_after_two_minutes() -> None:
    world = await World.open(budget(minimum=2))
    (first, *_) = await world.names()
    at = world.cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"status": {"disruptedPods": {first: at}}}
    await world.cluster.client.patch(PodDisruptionBudget, "web", "default", patch=patch, subresource="status")
    assert await world.controller.reconcile(WEB) == After(121.0)
    assert (await world.status())[1] == 2
    await world.cluster.clock.sleep(121)
    await world.controller.reconcile(WEB)
    assert (await world.status())[1] == 3
    assert world.cluster.told.events[-1][0] == "NotDeleted"


async def test_a_disruption_that_did_not_happen_is_taken_back() -> None:
    world = await World.open(budget(minimum=2))
    (first, *_) = await world.names()
    at = world.cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": at}
    await world.cluster.client.patch(
        Pod, first, "default", patch={"status": {"conditions": [condition]}}, subresource="status"
    )
    controller = StaleDisruptionController(world.cluster.context())
    assert await controller.reconcile(Key("default", first)) == After(120.0)
    await world.cluster.clock.sleep(121)
    await controller.reconcile(Key("default", first))
    pod = await world.cluster.client.get(Pod, first, "default")
    assert [one.status for one in pod.status.conditions if one.type == "DisruptionTarget"] == ["False"]
