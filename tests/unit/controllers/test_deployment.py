"""Deployments over ReplicaSets and a real registry in memory; the plans also by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from minikube.api.apps_v1 import (
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdateDeployment,
)
from minikube.api.core_v1 import Pod
from minikube.api.meta import Key, ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.controllers.deployment import DeploymentController
from minikube.controllers.deployment_plan import DESIRED, MAX, REVISION, plan_rolling, plan_scale, replicas_of
from minikube.controllers.replicaset import ReplicaSetController
from tests.fakes.cluster import Cluster, template

WEB = Key("default", "web")
SELECTOR = LabelSelector(match_labels={"app": "web"})


def deployment(replicas: int, surge: int = 1, unavailable: int = 0, **changes: object) -> Deployment:
    rolling = RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    spec = DeploymentSpec(
        replicas=replicas,
        selector=SELECTOR,
        template=template(),
        progress_deadline_seconds=600,
        strategy=DeploymentStrategy(type="RollingUpdate", rolling_update=rolling),
    )
    meta = ObjectMeta(name="web", namespace="default")
    return Deployment(metadata=meta, spec=msgspec.structs.replace(spec, **changes))


def a_set(name: str, replicas: int, available: int | None = None, *, age: int = 0, limit: int = 0) -> ReplicaSet:
    annotations = {MAX: str(limit), DESIRED: "10"} if limit else {}
    created = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=age)
    return ReplicaSet(
        metadata=ObjectMeta(name=name, uid=name, annotations=annotations, creation_timestamp=created),
        spec=ReplicaSetSpec(replicas=replicas, selector=SELECTOR, template=template()),
        status=ReplicaSetStatus(replicas=replicas, available_replicas=replicas if available is None else available),
    )


class World:
    """A cluster with the two controllers; `settle` lets both work until nothing changes."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.deployments = DeploymentController(cluster.context())
        self.sets = ReplicaSetController(cluster.context())

    @classmethod
    async def open(cls) -> World:
        return cls(await Cluster.open())

    async def settle(self) -> None:
        for _ in range(4):
            await self.deployments.reconcile(WEB)
            for rs in await self.replica_sets():
                await self.sets.reconcile(Key("default", rs.metadata.name))

    async def roll_out(self, rounds: int = 12) -> None:
        for _ in range(rounds):
            await self.settle()
            await self.cluster.everything_runs()
        await self.settle()

    async def replica_sets(self) -> list[ReplicaSet]:
        found = (await self.cluster.client.list(ReplicaSet, "default")).items
        return sorted(found, key=lambda rs: int(rs.metadata.annotations.get(REVISION, "0")))

    async def get(self) -> Deployment:
        return await self.cluster.client.get(Deployment, "web", "default")

    async def set_image(self, image: str) -> None:
        found = await self.get()
        spec = msgspec.structs.replace(found.spec, template=template(image))
        await self.cluster.client.update(msgspec.structs.replace(found, spec=spec))

    async def condition(self, type: str) -> tuple[str, str]:
        found = next(one for one in (await self.get()).status.conditions if one.type == type)
        return found.status, found.reason


async def test_a_rollout_ends_available_with_the_old_set_kept_for_rollback() -> None:
    world = await World.open()
    await world.cluster.client.create(deployment(3))
    await world.roll_out(2)
    await world.set_image("nginx:2")
    await world.settle()
    assert await world.condition("Progressing") == ("True", "ReplicaSetUpdated")
    await world.roll_out()
    old, new = await world.replica_sets()
    assert (replicas_of(old), replicas_of(new)) == (0, 3)
    assert new.metadata.annotations[REVISION] == "2"
    assert await world.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    assert (await world.get()).metadata.annotations[REVISION] == "2"


async def test_a_rollback_takes_the_old_set_under_a_new_revision_and_remembers_the_first() -> None:
    world = await World.open()
    await world.cluster.client.create(deployment(1))
    for image in ("nginx:2", "nginx"):
        await world.roll_out(4)
        await world.set_image(image)
    await world.roll_out(4)
    second, first = await world.replica_sets()
    assert first.metadata.annotations[REVISION] == "3"
    assert first.metadata.annotations["deployment.kubernetes.io/revision-history"] == "1"
    assert (replicas_of(first), replicas_of(second)) == (1, 0)


async def test_a_change_cause_reaches_the_replica_set() -> None:
    world = await World.open()
    await world.cluster.client.create(deployment(1))
    await world.settle()
    patch = {"metadata": {"annotations": {"kubernetes.io/change-cause": "first try"}}}
    await world.cluster.client.patch(Deployment, "web", "default", patch=patch)
    await world.settle()
    (rs,) = await world.replica_sets()
    assert rs.metadata.annotations["kubernetes.io/change-cause"] == "first try"


async def test_a_stuck_rollout_is_called_so_after_its_deadline() -> None:
    world = await World.open()
    await world.cluster.client.create(deployment(1, progress_deadline_seconds=60))
    await world.settle()
    after = await world.deployments.reconcile(WEB)
    assert after is not None
    assert 60 <= after.seconds <= 61
    await world.cluster.clock.sleep(61)
    await world.settle()
    assert await world.condition("Progressing") == ("False", "ProgressDeadlineExceeded")


async def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    world = await World.open()
    await world.cluster.client.create(deployment(2))
    await world.roll_out(2)
    await world.cluster.client.patch(Deployment, "web", "default", patch={"spec": {"paused": True, "replicas": 4}})
    await world.set_image("nginx:2")
    await world.settle()
    (only,) = await world.replica_sets()
    assert replicas_of(only) == 4
    assert await world.condition("Progressing") == ("Unknown", "DeploymentPaused")
    await world.cluster.client.patch(Deployment, "web", "default", patch={"spec": {"paused": None}})
    await world.settle()
    assert len(await world.replica_sets()) == 2


async def test_recreate_waits_until_the_last_old_pod_is_gone() -> None:
    world = await World.open()
    await world.cluster.client.create(deployment(2, strategy=DeploymentStrategy(type="Recreate")))
    await world.roll_out(2)
    first = {pod.metadata.name for pod in await world.cluster.pods()}
    await world.cluster.client.patch(
        Pod, min(first), "default", patch={"metadata": {"finalizers": ["example.com/hold"]}}
    )
    await world.set_image("nginx:2")
    await world.settle()
    assert {pod.metadata.name for pod in await world.cluster.pods()} <= first
    await world.cluster.client.patch(Pod, min(first), "default", patch={"metadata": {"finalizers": None}})
    await world.cluster.everything_runs()
    await world.settle()
    assert len(await world.cluster.pods()) == 2
    assert not {pod.metadata.name for pod in await world.cluster.pods()} & first


async def test_a_set_with_the_same_labels_is_adopted() -> None:
    world = await World.open()
    alone = ReplicaSet(
        metadata=ObjectMeta(name="old", namespace="default", labels={"app": "web"}),
        spec=ReplicaSetSpec(replicas=1, selector=SELECTOR, template=template("nginx:0")),
    )
    await world.cluster.client.create(alone)
    await world.cluster.client.create(deployment(1))
    await world.roll_out(4)
    found = await world.cluster.client.get(ReplicaSet, "old", "default")
    assert [owner.name for owner in found.metadata.owner_references] == ["web"]
    assert replicas_of(found) == 0


async def test_old_sets_beyond_the_history_limit_go() -> None:
    world = await World.open()
    await world.cluster.client.create(deployment(1, revision_history_limit=1))
    for number in range(4):
        await world.roll_out(4)
        await world.set_image(f"nginx:{number}")
    await world.roll_out(4)
    assert len(await world.replica_sets()) == 2


@pytest.mark.parametrize(
    ("replicas", "sizes", "expected"),
    [
        (20, {"old": 8, "new": 3}, {"old": 15, "new": 6}),
        (5, {"old": 8, "new": 3}, {"old": 4, "new": 2}),
        (0, {"old": 8, "new": 3}, {"old": 0, "new": 0}),
    ],
)
def test_scaling_in_mid_rollout_is_shared_in_proportion(
    replicas: int, sizes: dict[str, int], expected: dict[str, int]
) -> None:
    """10 replicas with maxSurge 1 were being rolled out: at most 11 pods."""
    old = a_set("old", sizes["old"], age=30, limit=11)
    new = a_set("new", sizes["new"], 0, age=10, limit=11)
    assert plan_scale(deployment(replicas), new, [old]) == expected


def test_pods_that_never_became_available_go_first() -> None:
    broken, fine = a_set("broken", 2, 0, age=20), a_set("fine", 3, age=40)
    plan = plan_rolling(deployment(3, surge=2, unavailable=1), a_set("new", 0, 0, age=5), [broken, fine])
    assert plan == {"broken": 0, "fine": 2}
