"""Claims and volumes find each other: the binder's decisions as a table, and the storage controllers together."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.api import local_path
from minikube.api import volumes as rules
from minikube.api.core_v1 import (
    Container,
    EphemeralVolumeSource,
    HostPathVolumeSource,
    Node,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate,
    PersistentVolumeClaimVolumeSource,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    Pod,
    PodSpec,
    Volume,
    VolumeResourceRequirements,
)
from minikube.api.meta import ObjectMeta, key_of, replace_meta
from minikube.api.meta_v1 import LabelSelector
from minikube.api.storage_v1 import StorageClass
from minikube.controllers.claim_protection import ClaimProtectionController
from minikube.controllers.ephemeral_volumes import EphemeralVolumeController
from minikube.controllers.local_path import LocalPathProvisioner
from minikube.controllers.persistent_volumes import PersistentVolumeBinder
from minikube.controllers.volume_binding import (
    Bind,
    Leave,
    Lose,
    Provision,
    Reclaim,
    Show,
    Unbind,
    Wait,
    decide_claim,
    decide_volume,
)
from minikube.controllers.volume_protection import VolumeProtectionController
from minikube.errors import NotFound
from tests.fakes.cluster import Cluster

RWO = ("ReadWriteOnce",)
LATE = StorageClass(
    metadata=ObjectMeta(name="late"), provisioner="example.com/p", volume_binding_mode="WaitForFirstConsumer"
)
NOW = StorageClass(metadata=ObjectMeta(name="now"), provisioner="example.com/p", volume_binding_mode="Immediate")
MANUAL = StorageClass(metadata=ObjectMeta(name="manual"), provisioner=rules.NO_PROVISIONER)
CLASSES = {one.metadata.name: one for one in (LATE, NOW, MANUAL)}
BOUND = {rules.BIND_COMPLETED: "yes"}


def claim(of: str | None = "", *, size: str = "1Gi", volume: str = "", notes: Any = None, **spec: Any) -> Any:
    return PersistentVolumeClaim(
        metadata=ObjectMeta(name="data", namespace="default", uid="c1", annotations=notes or {}),
        spec=PersistentVolumeClaimSpec(
            access_modes=RWO,
            resources=VolumeResourceRequirements(requests={"storage": size}),
            storage_class_name=of,
            volume_name=volume,
            **spec,
        ),
    )


def volume(name: str, size: str = "1Gi", of: str = "", *, uid: str | None = None, **more: Any) -> PersistentVolume:
    """`uid`: of the claim default/data that it is reserved for."""
    reference = ObjectReference(name="data", namespace="default", uid=uid) if uid is not None else None
    spec = PersistentVolumeSpec(
        access_modes=more.pop("modes", RWO),
        capacity={"storage": size},
        storage_class_name=of,
        claim_ref=reference,
        host_path=HostPathVolumeSource(path="/d"),
        persistent_volume_reclaim_policy=more.pop("policy", "Retain"),
    )
    meta = ObjectMeta(name=name, labels=more.pop("labels", {}), annotations=more.pop("notes", {}))
    return PersistentVolume(
        metadata=meta, spec=spec, status=PersistentVolumeStatus(phase=more.pop("phase", "Available"))
    )


SMALL, LARGE = volume("small", "1Gi"), volume("large", "5Gi")
WIDE = volume("wide", "1Gi", modes=("ReadWriteOnce", "ReadWriteMany"))
MINE, THEIRS = volume("mine", uid="c1"), volume("theirs", uid="c2")
LABELLED = volume("labelled", labels={"disk": "fast"})
FAST = LabelSelector(match_labels={"disk": "fast"})
CANNOT = 'Cannot bind to requested volume "small"'
NONE = "no persistent volumes available for this claim and no storage class is set"


@pytest.mark.parametrize(
    ("subject", "there", "expected"),
    [
        (claim(), [LARGE, SMALL], Bind(SMALL)),
        (claim(size="2Gi"), [LARGE, SMALL], Bind(LARGE)),
        (claim(), [WIDE, LARGE], Bind(LARGE)),
        (claim(), [MINE, SMALL], Bind(MINE)),
        (claim(), [THEIRS], Wait("FailedBinding", NONE)),
        (claim(), [volume("used", phase="Released")], Wait("FailedBinding", NONE)),
        (claim(), [volume("other", of="manual")], Wait("FailedBinding", NONE)),
        (claim(selector=FAST), [SMALL, LABELLED], Bind(LABELLED)),
        (claim(volume_mode="Block"), [SMALL], Wait("FailedBinding", NONE)),
        (claim(volume="small"), [SMALL], Bind(SMALL)),
        (claim(volume="small"), [], Wait()),
        (claim(volume="mine"), [MINE], Bind(MINE)),
        (claim(volume="theirs"), [THEIRS],
         Wait("FailedBinding", 'volume "theirs" already bound to a different claim.', warning=True)),
        (claim(volume="small", size="9Gi"), [SMALL],
         Wait("VolumeMismatch", f"{CANNOT}: requested PV is too small", warning=True)),
        (claim(volume="small", notes=BOUND), [],
         Lose("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")),
        (claim(notes=BOUND), [SMALL],
         Lose("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")),
        (claim(volume="theirs", notes=BOUND), [THEIRS],
         Lose("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")),
        (claim("now"), [SMALL], Provision("example.com/p")),
        (claim("late"), [volume("late", of="late")],
         Wait("WaitForFirstConsumer", "waiting for first consumer to be created before binding")),
        (claim("late"), [volume("late", of="late", uid="")], Bind(volume("late", of="late", uid=""))),
        (claim("late", notes={rules.SELECTED_NODE: "n1"}), [], Provision("example.com/p")),
        (claim("manual"), [], Wait("ProvisioningFailed",
         "no volume plugin matched name: kubernetes.io/no-provisioner", warning=True)),
        (claim("gone"), [],
         Wait("ProvisioningFailed", 'storageclass.storage.k8s.io "gone" not found', warning=True)),
    ],
)  # fmt: skip
def test_a_claim_gets_what_fits_or_says_what_it_waits_for(
    subject: PersistentVolumeClaim, there: list[PersistentVolume], expected: Any
) -> None:
    assert decide_claim(subject, {one.metadata.name: one for one in there}, CLASSES) == expected


def test_a_late_claim_names_the_pods_that_are_to_be_scheduled() -> None:
    assert decide_claim(claim("late"), {}, CLASSES, ["a"]) == Wait(
        "WaitForPodScheduled", "waiting for pod a to be scheduled"
    )
    assert decide_claim(claim("late"), {}, CLASSES, ["b", "a"]) == Wait(
        "WaitForPodScheduled", "waiting for pods a,b to be scheduled"
    )


PROVISIONED = {rules.PROVISIONED_BY: "example.com/p"}


@pytest.mark.parametrize(
    ("subject", "its", "expected"),
    [
        (SMALL, None, Show("Available")),
        (volume("v", uid=""), claim(), Show("Available")),
        (volume("v", uid="c1"), claim(), Leave()),
        (volume("v", uid="c1"), claim(volume="v"), Show("Bound")),
        (volume("v", uid="c1"), None, Reclaim()),
        (volume("v", uid="c0"), claim(volume="v"), Reclaim()),
        (volume("v", uid="c1"), claim(volume="w"), Unbind()),
        (volume("v", uid="c1", policy="Delete", notes=PROVISIONED), claim(volume="w"), Reclaim()),
    ],
)
def test_a_volume_shows_what_became_of_its_claim(
    subject: PersistentVolume, its: PersistentVolumeClaim | None, expected: Any
) -> None:
    assert decide_volume(subject, its) == expected


# ---- the controllers together ------------------------------------------------------------------------


class Storage:
    """A cluster with every storage controller; `settle` lets them all look at everything a few times."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.client = cluster, cluster.client
        context = cluster.context()
        self.controllers = [
            PersistentVolumeBinder(context),
            LocalPathProvisioner(context),
            ClaimProtectionController(context),
            VolumeProtectionController(context),
            EphemeralVolumeController(context),
        ]

    async def settle(self) -> None:
        for _ in range(4):
            keys = [
                key_of(one)
                for kind in (PersistentVolume, PersistentVolumeClaim, Pod)
                for one in await self.all(kind)
            ]
            for controller in self.controllers:
                for key in keys:
                    await controller.reconcile(key)

    async def all(self, kind: Any) -> list[Any]:
        return list((await self.client.list(kind)).items)

    async def claim(self, name: str = "data") -> PersistentVolumeClaim:
        return await self.client.get(PersistentVolumeClaim, name, "default")

    async def select(self, node: str) -> None:
        """As the scheduler does at PreBind."""
        patch = {"metadata": {"annotations": {rules.SELECTED_NODE: node}}}
        await self.client.patch(PersistentVolumeClaim, "data", "default", patch=patch)


async def storage() -> Storage:
    cluster = await Cluster.open()
    await cluster.node("n1", {local_path.HOSTNAME: "n1"})
    annotated = {"metadata": {"annotations": {local_path.DIRECTORY: "/data/storage"}}}
    await cluster.client.patch(Node, "n1", patch=annotated)
    of = StorageClass(
        metadata=ObjectMeta(name=local_path.CLASS, annotations={rules.DEFAULT_CLASS: "true"}),
        provisioner=local_path.PROVISIONER,
        volume_binding_mode="WaitForFirstConsumer",
        allow_volume_expansion=True,
    )
    await cluster.client.create(of)
    return Storage(cluster)


def fresh(of: str | None = None, **more: Any) -> PersistentVolumeClaim:
    return replace_meta(claim(of, **more), uid="")


async def test_a_claim_is_provisioned_once_the_scheduler_has_chosen_and_its_directory_goes_with_it() -> None:
    all_ = await storage()
    await all_.client.create(fresh())
    await all_.settle()
    found = await all_.claim()
    assert (found.status.phase, found.spec.storage_class_name) == ("Pending", local_path.CLASS)
    assert await all_.all(PersistentVolume) == []

    await all_.select("n1")
    await all_.settle()
    found = await all_.claim()
    assert (found.status.phase, found.status.capacity, found.status.access_modes) == (
        "Bound",
        {"storage": "1Gi"},
        RWO,
    )
    assert found.spec.volume_name == f"pvc-{found.metadata.uid}"
    [made] = await all_.all(PersistentVolume)
    assert made.spec.local.path == f"/data/storage/pvc-{found.metadata.uid}_default_data"
    assert (made.status.phase, local_path.node_of(made)) == ("Bound", "n1")
    assert set(made.metadata.finalizers) == {rules.VOLUME_PROTECTION, local_path.FINALIZER}
    reasons = [reason for reason, _ in all_.cluster.told.events]
    for reason in ("WaitForFirstConsumer", "ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"):
        assert reason in reasons

    await all_.client.delete(PersistentVolumeClaim, "data", "default")
    await all_.settle()
    [released] = await all_.all(PersistentVolume)
    assert released.status.phase == "Released"
    assert released.metadata.deletion_timestamp is not None
    assert released.metadata.finalizers == (local_path.FINALIZER,)

    await all_.client.delete(Node, "n1")
    await all_.settle()
    assert await all_.all(PersistentVolume) == []


async def test_a_bound_claim_grows() -> None:
    all_ = await storage()
    await all_.client.create(fresh())
    await all_.select("n1")
    await all_.settle()
    patch = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
    await all_.client.patch(PersistentVolumeClaim, "data", "default", patch=patch)
    await all_.settle()
    assert (await all_.claim()).status.capacity == {"storage": "3Gi"}
    assert [one.spec.capacity for one in await all_.all(PersistentVolume)] == [{"storage": "3Gi"}]


async def test_a_node_that_is_not_there_is_given_back_to_the_scheduler() -> None:
    all_ = await storage()
    await all_.client.create(fresh())
    await all_.select("n9")
    await all_.settle()
    assert rules.SELECTED_NODE not in (await all_.claim()).metadata.annotations
    what = (
        'failed to provision volume with StorageClass "local-path": failed to get target node: node "n9" not found'
    )
    assert ("ProvisioningFailed", what) in all_.cluster.told.events


async def test_retained_volumes_stay_released_and_nobody_deletes_a_foreign_one() -> None:
    all_ = await storage()
    for name, policy in (("keep", "Retain"), ("drop", "Delete")):
        await all_.client.create(volume(name, of="manual", policy=policy))
        await all_.client.create(replace_meta(fresh("manual", volume=name), name=name))
    await all_.settle()
    assert {one.status.phase for one in await all_.all(PersistentVolume)} == {"Bound"}
    for name in ("keep", "drop"):
        await all_.client.delete(PersistentVolumeClaim, name, "default")
    await all_.settle()
    phases = {one.metadata.name: one.status.phase for one in await all_.all(PersistentVolume)}
    assert phases == {"keep": "Released", "drop": "Failed"}
    assert all(one.status.last_phase_transition_time for one in await all_.all(PersistentVolume))


async def test_claims_and_volumes_in_use_outlive_their_deletion() -> None:
    all_ = await storage()
    await all_.client.create(volume("v", of="manual"))
    await all_.client.create(fresh("manual", volume="v"))
    source = PersistentVolumeClaimVolumeSource(claim_name="data")
    spec = PodSpec(
        containers=(Container(name="c", image="i"),),
        node_name="n1",
        volumes=(Volume(name="d", persistent_volume_claim=source),),
    )
    await all_.client.create(Pod(metadata=ObjectMeta(name="user", namespace="default"), spec=spec))
    await all_.settle()
    await all_.client.delete(PersistentVolumeClaim, "data", "default")
    await all_.client.delete(PersistentVolume, "v")
    await all_.settle()
    assert (await all_.claim()).metadata.deletion_timestamp is not None
    await all_.client.delete(Pod, "user", "default", grace_period_seconds=0)
    await all_.settle()
    with pytest.raises(NotFound):
        await all_.claim()
    assert await all_.all(PersistentVolume) == []


async def test_an_ephemeral_volume_has_a_claim_of_the_pods_own() -> None:
    all_ = await storage()
    template = PersistentVolumeClaimTemplate(spec=fresh().spec, metadata=ObjectMeta(labels={"a": "b"}))
    ephemeral = Volume(name="tmp", ephemeral=EphemeralVolumeSource(volume_claim_template=template))
    spec = PodSpec(containers=(Container(name="c", image="i"),), volumes=(ephemeral,))
    pod = await all_.client.create(Pod(metadata=ObjectMeta(name="web", namespace="default"), spec=spec))
    await all_.settle()
    made = await all_.claim("web-tmp")
    assert rules.foreign_claim(pod, made) == ""
    assert made.metadata.labels == {"a": "b"}

    other = await all_.client.create(Pod(metadata=ObjectMeta(name="other", namespace="default"), spec=spec))
    assert rules.foreign_claim(other, made) == (
        "PVC default/web-tmp was not created for pod default/other (pod is not owner)"
    )
