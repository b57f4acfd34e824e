"""ReplicaSet and ReplicationController: adoption, release, the order of deletion, failures in the status."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from minikube.api.apps_v1 import ReplicaSet, ReplicaSetSpec
from minikube.api.core_v1 import (
    ContainerStatus,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    ReplicationController,
    ReplicationControllerSpec,
)
from minikube.api.meta import Key, ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.controllers.base import After
from minikube.controllers.pods import DELETION_COST, first_to_go
from minikube.controllers.replicaset import ReplicaSetController, status_of
from minikube.controllers.replicationcontroller import ReplicationControllerController
from tests.fakes.cluster import Cluster, HandClock, template

WEB = Key("default", "web")
META = ObjectMeta(name="web", namespace="default")


def replica_set(replicas: int, **spec: object) -> ReplicaSet:
    made = ReplicaSetSpec(
        replicas=replicas, selector=LabelSelector(match_labels={"app": "web"}), template=template()
    )
    return ReplicaSet(metadata=META, spec=msgspec.structs.replace(made, **spec))


async def lone_pod(cluster: Cluster, name: str, **labels: str) -> Pod:
    spec = template().spec
    assert spec is not None
    meta = ObjectMeta(name=name, namespace="default", labels=labels)
    return await cluster.client.create(Pod(metadata=meta, spec=spec))


def owners(pod: Pod) -> list[tuple[str, str]]:
    return [(owner.kind, owner.name) for owner in pod.metadata.owner_references if owner.controller]


async def test_a_matching_pod_without_owner_is_adopted() -> None:
    cluster = await Cluster.open()
    await lone_pod(cluster, "alone", app="web")
    await lone_pod(cluster, "stranger", app="db")
    controller = ReplicaSetController(cluster.context())
    await cluster.client.create(replica_set(1))
    await cluster.settle(controller, WEB)
    assert {pod.metadata.name: owners(pod) for pod in await cluster.pods()} == {
        "alone": [("ReplicaSet", "web")],
        "stranger": [],
    }


async def test_a_relabelled_pod_is_released_and_replaced() -> None:
    cluster = await Cluster.open()
    controller = ReplicationControllerController(cluster.context())
    spec = ReplicationControllerSpec(replicas=1, selector={"app": "web"}, template=template())
    await cluster.client.create(ReplicationController(metadata=META, spec=spec))
    await cluster.settle(controller, WEB)
    (first,) = await cluster.pods()
    await cluster.client.patch(
        Pod, first.metadata.name, "default", patch={"metadata": {"labels": {"app": "not-matching"}}}
    )
    await cluster.settle(controller, WEB)
    found = {pod.metadata.name: owners(pod) for pod in await cluster.pods()}
    assert found.pop(first.metadata.name) == []
    assert list(found.values()) == [[("ReplicationController", "web")]]


async def test_a_pod_without_owner_is_work_for_every_set_that_would_take_it() -> None:
    cluster = await Cluster.open()
    controller = ReplicaSetController(cluster.context())
    await cluster.client.create(replica_set(1))
    watch = controller.watches[1]
    assert list(watch.keys(await lone_pod(cluster, "alone", app="web"))) == [WEB]
    assert list(watch.keys(await lone_pod(cluster, "stranger", app="db"))) == []


async def test_a_set_looks_again_when_the_next_pod_becomes_available() -> None:
    cluster = await Cluster.open()
    controller = ReplicaSetController(cluster.context())
    await cluster.client.create(replica_set(1, min_ready_seconds=30))
    await cluster.settle(controller, WEB)
    await cluster.everything_runs()
    await cluster.clock.sleep(10)
    assert await cluster.settle(controller, WEB) == After(20.0)
    await cluster.clock.sleep(20)
    assert await cluster.settle(controller, WEB) is None
    assert (await cluster.client.get(ReplicaSet, "web", "default")).status.available_replicas == 1


def a_pod(
    name: str, node: str = "", phase: str = "Running", ready: int | None = None, restarts: int = 0, cost: str = ""
) -> Pod:
    """`ready`: for so many seconds."""
    conditions = ()
    if ready is not None:
        since = CLOCK.now() - timedelta(seconds=ready)
        conditions = (PodCondition(type="Ready", status="True", last_transition_time=since),)
    statuses = (ContainerStatus(name="main", restart_count=restarts),)
    created = CLOCK.now() - timedelta(seconds=1000)
    annotations = {DELETION_COST: cost} if cost else {}
    return Pod(
        metadata=ObjectMeta(name=name, uid=name, creation_timestamp=created, annotations=annotations),
        spec=PodSpec(node_name=node),
        status=PodStatus(phase=phase, conditions=conditions, container_statuses=statuses),
    )


CLOCK = HandClock()


def test_pods_go_in_upstreams_order() -> None:
    pods = [
        a_pod("old", "n1", ready=900),
        a_pod("dear", "n5", ready=1, cost="5"),
        a_pod("young", "n2", ready=10),
        a_pod("restarted", "n3", ready=900, restarts=3),
        a_pod("crowded", "n4", ready=900),
        a_pod("unready", "n6"),
        a_pod("pending", "n7", "Pending"),
        a_pod("unassigned", "", "Pending"),
    ]
    sibling = [a_pod("other", "n4")]
    order = [pod.metadata.name for pod in first_to_go(pods, CLOCK.now(), sibling)]
    assert order == ["unassigned", "pending", "unready", "crowded", "young", "restarted", "old", "dear"]


def test_a_failure_stays_as_it_was_first_said_and_goes_when_pods_can_be_made() -> None:
    rs, now = replica_set(1), CLOCK.now()
    failed = status_of(rs, [], now, failure="exceeded quota: a", reason="FailedCreate")
    again = status_of(
        msgspec.structs.replace(rs, status=failed), [], now, failure="exceeded quota: b", reason="FailedCreate"
    )
    assert [(one.reason, one.message) for one in again.conditions] == [("FailedCreate", "exceeded quota: a")]
    assert status_of(msgspec.structs.replace(rs, status=again), [], now).conditions == ()
