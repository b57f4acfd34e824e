"""StatefulSet and DaemonSet: adoption, claims that go with them, pods that fail, revisions."""

from __future__ import annotations

import pytest

from minikube.api.apps_v1 import (
    ControllerRevision,
    DaemonSet,
    DaemonSetSpec,
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetSpec,
)
from minikube.api.core_v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    Pod,
    VolumeResourceRequirements,
)
from minikube.api.meta import Key, ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.controllers.base import After
from minikube.controllers.daemonset import DaemonSetController
from minikube.controllers.statefulset import StatefulSetController
from tests.fakes.cluster import Cluster, template

WEB = Key("default", "web")
META = ObjectMeta(name="web", namespace="default")
SELECTOR = LabelSelector(match_labels={"app": "web"})


async def stateful(cluster: Cluster, replicas: int, **policy: str) -> StatefulSetController:
    claim = PersistentVolumeClaim(
        metadata=ObjectMeta(name="data"),
        spec=PersistentVolumeClaimSpec(
            access_modes=("ReadWriteOnce",), resources=VolumeResourceRequirements(requests={"storage": "1Gi"})
        ),
    )
    spec = StatefulSetSpec(
        replicas=replicas,
        selector=SELECTOR,
        template=template(),
        service_name="web",
        pod_management_policy="Parallel",
        volume_claim_templates=(claim,),
        persistent_volume_claim_retention_policy=StatefulSetPersistentVolumeClaimRetentionPolicy(**policy),
    )
    await cluster.client.create(StatefulSet(metadata=META, spec=spec))
    controller = StatefulSetController(cluster.context())
    await cluster.settle(controller, WEB)
    return controller


async def claim_owners(cluster: Cluster) -> dict[str, list[tuple[str, str]]]:
    found = (await cluster.client.list(PersistentVolumeClaim, "default")).items
    return {
        one.metadata.name: [(owner.kind, owner.name) for owner in one.metadata.owner_references] for one in found
    }


@pytest.mark.parametrize(
    ("deleted", "scaled", "kept", "condemned"),
    [
        ("Retain", "Retain", [], []),
        ("Delete", "Retain", [("StatefulSet", "web")], [("StatefulSet", "web")]),
        ("Retain", "Delete", [], [("Pod", "web-1")]),
        ("Delete", "Delete", [("StatefulSet", "web")], [("Pod", "web-1")]),
    ],
)
async def test_claims_are_owned_by_what_they_go_with(
    deleted: str, scaled: str, kept: list[tuple[str, str]], condemned: list[tuple[str, str]]
) -> None:
    cluster = await Cluster.open()
    controller = await stateful(cluster, 2, when_deleted=deleted, when_scaled=scaled)
    await cluster.everything_runs()
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    await cluster.client.patch(Pod, "web-1", "default", patch=hold)
    await cluster.client.patch(StatefulSet, "web", "default", patch={"spec": {"replicas": 1}})
    await cluster.settle(controller, WEB)
    assert await claim_owners(cluster) == {"data-web-0": kept, "data-web-1": condemned}


async def test_a_pod_of_the_right_name_is_adopted_by_the_stateful_set() -> None:
    cluster = await Cluster.open()
    spec = template().spec
    assert spec is not None
    for name in ("web-0", "other-0"):
        meta = ObjectMeta(name=name, namespace="default", labels={"app": "web"})
        await cluster.client.create(Pod(metadata=meta, spec=spec))
    await stateful(cluster, 1)
    owners = {pod.metadata.name: [o.name for o in pod.metadata.owner_references] for pod in await cluster.pods()}
    assert owners == {"web-0": ["web"], "other-0": []}


async def test_a_failed_pod_of_a_stateful_set_is_made_again_under_its_name() -> None:
    cluster = await Cluster.open()
    controller = await stateful(cluster, 1)
    (pod,) = await cluster.pods()
    await cluster.phase(pod, "Failed")
    await cluster.settle(controller, WEB)
    (again,) = await cluster.pods()
    assert (again.metadata.name, again.metadata.uid == pod.metadata.uid) == ("web-0", False)
    assert ("RecreatingFailedPod", "StatefulSet default/web is recreating failed Pod web-0") in cluster.told.events


async def daemon(cluster: Cluster) -> DaemonSetController:
    await cluster.node("n1")
    await cluster.client.create(
        DaemonSet(metadata=META, spec=DaemonSetSpec(selector=SELECTOR, template=template()))
    )
    controller = DaemonSetController(cluster.context())
    await cluster.settle(controller, WEB)
    return controller


async def test_a_daemon_pod_that_fails_again_is_replaced_ever_more_slowly() -> None:
    cluster = await Cluster.open()
    controller = await daemon(cluster)
    for wait in (None, After(1.0), After(2.0)):
        (pod,) = await cluster.pods()
        await cluster.phase(pod, "Failed")
        assert await controller.reconcile(WEB) == wait
        await cluster.clock.sleep(wait.seconds if wait else 0)
        await cluster.settle(controller, WEB)
        (again,) = await cluster.pods()
        assert again.metadata.uid != pod.metadata.uid


async def test_going_back_to_an_old_template_takes_its_revision_under_a_new_number() -> None:
    cluster = await Cluster.open()
    controller = await daemon(cluster)
    for image in ("nginx:2", "nginx"):
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
        await cluster.client.patch(DaemonSet, "web", "default", patch=patch)
        await cluster.settle(controller, WEB)
        await cluster.everything_runs()
    revisions = (await cluster.client.list(ControllerRevision, "default")).items
    assert sorted(one.revision or 0 for one in revisions) == [2, 3]


async def test_a_revision_that_somebody_deleted_is_made_again() -> None:
    cluster = await Cluster.open()
    controller = await daemon(cluster)
    (revision,) = (await cluster.client.list(ControllerRevision, "default")).items
    assert WEB in [
        key for watch in controller.watches if watch.kind is ControllerRevision for key in watch.keys(revision)
    ]
    await cluster.client.delete(ControllerRevision, revision.metadata.name, "default")
    await cluster.settle(controller, WEB)
    assert len((await cluster.client.list(ControllerRevision, "default")).items) == 1


async def test_scaling_of_an_ordered_set_halts_at_an_unhealthy_pod_both_ways() -> None:
    cluster = await Cluster.open()
    spec = StatefulSetSpec(replicas=2, selector=SELECTOR, template=template(), service_name="web")
    await cluster.client.create(StatefulSet(metadata=META, spec=spec))
    controller = StatefulSetController(cluster.context())
    for _ in range(2):
        await cluster.settle(controller, WEB)
        await cluster.everything_runs()
    first = (await cluster.pods())[0]
    await cluster.phase(first, "Running")
    for replicas in (3, 1):
        await cluster.client.patch(StatefulSet, "web", "default", patch={"spec": {"replicas": replicas}})
        await cluster.settle(controller, WEB)
        assert [pod.metadata.name for pod in await cluster.pods()] == ["web-0", "web-1"]
    await cluster.phase(first, "Running", ready=True)
    await cluster.settle(controller, WEB)
    assert [pod.metadata.name for pod in await cluster.pods()] == ["web-0"]
