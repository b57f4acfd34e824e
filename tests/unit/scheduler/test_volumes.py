"""Pods go where their volumes are; what one pod was promised no other gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from minikube.api import volumes as rules
from minikube.api.core_v1 import (
    Container,
    CSIPersistentVolumeSource,
    GCEPersistentDiskVolumeSource,
    Node,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    PersistentVolumeClaimVolumeSource,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    Pod,
    PodSpec,
    Volume,
    VolumeNodeAffinity,
    VolumeResourceRequirements,
)
from minikube.api.meta import Key, ObjectMeta, key_of
from minikube.api.storage_v1 import CSINode, CSINodeDriver, CSINodeSpec, StorageClass, VolumeNodeResources
from minikube.client.informer import WatchLister
from minikube.controllers.persistent_volumes import PersistentVolumeBinder
from minikube.errors import ApiError
from minikube.scheduler.framework import Amounts, Cycle, Handle, NodeInfo, PodInfo, Reject
from minikube.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from minikube.scheduler.plugins.volume_binding import IMMEDIATE, VolumeBinding
from minikube.scheduler.plugins.volume_choice import FAR, LOST, NO_VOLUME
from minikube.scheduler.plugins.volume_restrictions import DISK, ONCE_POD, VolumeRestrictions
from minikube.scheduler.plugins.volume_zone import VolumeZone
from tests.fakes.cluster import Cluster

LATE = StorageClass(
    metadata=ObjectMeta(name="late"), provisioner="example.com/p", volume_binding_mode="WaitForFirstConsumer"
)
STATIC = StorageClass(
    metadata=ObjectMeta(name="static"),
    provisioner=rules.NO_PROVISIONER,
    volume_binding_mode="WaitForFirstConsumer",
)


def pod(*claims: str, name: str = "p", volumes: tuple[Volume, ...] = ()) -> Pod:
    named = tuple(
        Volume(name=one, persistent_volume_claim=PersistentVolumeClaimVolumeSource(claim_name=one))
        for one in claims
    )
    spec = PodSpec(containers=(Container(name="c", image="i"),), volumes=named + volumes)
    return Pod(metadata=ObjectMeta(name=name, namespace="default", uid=name), spec=spec)


def claim(
    name: str, of: str = "late", *, volume: str = "", size: str = "1Gi", mode: str = "ReadWriteOnce", **notes: str
) -> PersistentVolumeClaim:
    annotations = {rules.BIND_COMPLETED: "yes"} if volume else {}
    if "selected" in notes:
        annotations[rules.SELECTED_NODE] = notes["selected"]
    return PersistentVolumeClaim(
        metadata=ObjectMeta(name=name, namespace="default", uid=f"uid-{name}", annotations=annotations),
        spec=PersistentVolumeClaimSpec(
            access_modes=(mode,),
            storage_class_name=of,
            volume_name=volume,
            resources=VolumeResourceRequirements(requests={"storage": size}),
        ),
        status=PersistentVolumeClaimStatus(phase=notes.get("phase", "Pending")),
    )


def volume(name: str, of: str = "static", *, node: str = "", size: str = "1Gi", **more: Any) -> PersistentVolume:
    affinity = None
    if node:
        here = NodeSelectorRequirement(key="kubernetes.io/hostname", operator="In", values=(node,))
        terms = (NodeSelectorTerm(match_expressions=(here,)),)
        affinity = VolumeNodeAffinity(required=NodeSelector(node_selector_terms=terms))
    csi = more.pop("csi", None) or CSIPersistentVolumeSource(driver="d", volume_handle=name)
    spec = PersistentVolumeSpec(
        access_modes=("ReadWriteOnce",),
        capacity={"storage": size},
        storage_class_name=of,
        node_affinity=affinity,
        csi=csi,
    )
    meta = ObjectMeta(name=name, labels=more.pop("labels", {}))
    return PersistentVolume(metadata=meta, spec=spec, status=PersistentVolumeStatus(phase="Available"))


def node(name: str, *pods: Pod, **labels: str) -> NodeInfo:
    shown = {
        "kubernetes.io/hostname": name,
        **{f"topology.kubernetes.io/{key}": one for key, one in labels.items()},
    }
    infos = tuple(PodInfo(one, Amounts(), 0, 0) for one in pods)
    return NodeInfo(node=Node(metadata=ObjectMeta(name=name, labels=shown)), pods=infos)


def cycle(*objects: Any, nodes: tuple[NodeInfo, ...] = ()) -> Cycle:
    listers: dict[type, WatchLister[Any]] = {}
    for plugin in (VolumeBinding, VolumeRestrictions, VolumeZone, NodeVolumeLimits):
        for kind in plugin.reads:
            listers.setdefault(kind, WatchLister())
    for one in objects:
        listers[type(one)].put(key_of(one), one)
    return Cycle(nodes=nodes, listers=listers)


def reasons(plugin: Any, state: Cycle, subject: Pod, *nodes: NodeInfo) -> Mapping[str, str] | str:
    """What each node is rejected for, or what every node is."""
    refused = plugin.pre_filter(state, subject)
    if isinstance(refused, Reject):
        return refused.reason
    found = {one.name: plugin.filter(state, subject, one) for one in nodes}
    return {name: reject.reason for name, reject in found.items() if reject is not None}


N1, N2 = node("n1"), node("n2")


@pytest.mark.parametrize(
    ("subject", "there", "expected"),
    [
        (pod(), [], {}),
        (pod("a"), [], 'persistentvolumeclaim "a" not found'),
        (pod("a"), [claim("a", "now")], IMMEDIATE),
        (pod("a"), [claim("a", volume="v", phase="Lost")],
         'persistentvolumeclaim "a" bound to non-existent persistentvolume "v"'),
        (pod("a"), [claim("a", volume="v")], {"n1": LOST, "n2": LOST}),
        (pod("a"), [claim("a", volume="v"), volume("v", node="n1")], {"n2": FAR}),
        (pod("a"), [LATE, claim("a")], {}),
        (pod("a"), [LATE, claim("a", selected="n2")], {"n1": NO_VOLUME}),
        (pod("a"), [STATIC, claim("a", "static")], {"n1": NO_VOLUME, "n2": NO_VOLUME}),
        (pod("a"), [STATIC, claim("a", "static"), volume("v", node="n2")], {"n1": NO_VOLUME}),
        (pod("a", "b"), [STATIC, claim("a", "static"), claim("b", "static"), volume("v", node="n2")],
         {"n1": NO_VOLUME, "n2": NO_VOLUME}),
        (pod("a", "b"), [STATIC, claim("a", "static", size="2Gi"), claim("b", "static"),
                         volume("v", node="n2"), volume("w", node="n2", size="2Gi")], {"n1": NO_VOLUME}),
    ],
)  # fmt: skip
def test_a_pod_fits_where_its_claims_can_be_met(subject: Pod, there: list[Any], expected: Any) -> None:
    assert reasons(VolumeBinding(), cycle(*there), subject, N1, N2) == expected


def test_a_volume_promised_to_one_pod_is_not_promised_to_another() -> None:
    there = [STATIC, claim("a", "static"), claim("b", "static"), volume("v", node="n1")]
    plugin, first, second = VolumeBinding(), pod("a", name="first"), pod("b", name="second")
    state = cycle(*there, nodes=(N1,))
    assert reasons(plugin, state, first, N1) == {}
    assert plugin.reserve(state, first, "n1") is None
    assert reasons(plugin, cycle(*there, nodes=(N1,)), second, N1) == {"n1": NO_VOLUME}
    plugin.unreserve(state, first, "n1")
    assert reasons(plugin, cycle(*there, nodes=(N1,)), second, N1) == {}


def test_pods_that_share_a_claim_go_to_the_node_where_it_is_about_to_be_made() -> None:
    there = [LATE, claim("a")]
    plugin, state = VolumeBinding(), cycle(*there, nodes=(N1, N2))
    assert reasons(plugin, state, pod("a", name="first"), N1, N2) == {}
    plugin.reserve(state, pod("a", name="first"), "n2")
    assert reasons(plugin, cycle(*there), pod("a", name="second"), N1, N2) == {"n1": NO_VOLUME}


ONCE = claim("a", volume="v", mode="ReadWriteOncePod")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((node("n1"), node("n2")), {}),
        ((node("n1", pod("a", name="q")), node("n2")), {"n1": ONCE_POD, "n2": ONCE_POD}),
        ((node("n1", pod("b", name="q")), node("n2")), {}),
    ],
)
def test_a_claim_for_one_pod_has_one_pod(others: tuple[NodeInfo, ...], expected: Any) -> None:
    assert reasons(VolumeRestrictions(), cycle(ONCE, nodes=others), pod("a"), *others) == expected


def test_preemption_sees_that_a_claim_for_one_pod_would_be_free_without_the_victim() -> None:
    busy = node("n1", pod("a", name="victim"))
    plugin, state = VolumeRestrictions(), cycle(ONCE, nodes=(busy,))
    assert plugin.pre_filter(state, pod("a")) is None
    assert plugin.filter(state, pod("a"), busy) is not None
    assert plugin.filter(state, pod("a"), node("n1")) is None


@pytest.mark.parametrize(
    ("mine", "its", "conflict"), [(False, False, True), (True, False, True), (True, True, False)]
)
def test_a_disk_is_shared_for_reading_only(mine: bool, its: bool, conflict: bool) -> None:
    def with_disk(name: str, read_only: bool) -> Pod:
        source = GCEPersistentDiskVolumeSource(pd_name="d", read_only=read_only)
        return pod(name=name, volumes=(Volume(name="d", gce_persistent_disk=source),))

    busy = node("n1", with_disk("other", its))
    found = reasons(VolumeRestrictions(), cycle(nodes=(busy,)), with_disk("p", mine), busy)
    assert found == ({"n1": DISK} if conflict else {})


def test_a_volume_of_a_zone_stays_in_its_zone() -> None:
    there = [claim("a", volume="v"), volume("v", labels={"topology.kubernetes.io/zone": "x__y"})]
    nodes = node("n1", zone="x"), node("n2", zone="z"), node("n3")
    assert reasons(VolumeZone(), cycle(*there), pod("a"), *nodes) == {"n2": "node(s) had no available volume zone"}


def test_a_driver_says_how_many_volumes_a_node_takes() -> None:
    driver = CSINodeDriver(name="d", node_id="n", allocatable=VolumeNodeResources(count=1))
    limits = CSINode(metadata=ObjectMeta(name="n1"), spec=CSINodeSpec(drivers=(driver,)))
    there = [limits, claim("a", volume="v"), claim("b", volume="w"), volume("v"), volume("w")]
    busy, full = node("n1", pod("a", name="q")), {"n1": "node(s) exceed max volume count"}
    assert reasons(NodeVolumeLimits(), cycle(*there), pod("b"), busy) == full
    assert reasons(NodeVolumeLimits(), cycle(*there), pod("a"), busy) == {}
    assert reasons(NodeVolumeLimits(), cycle(*there), pod("b"), node("n1")) == {}


# ---- over a registry ---------------------------------------------------------------------------------


class Attempt:
    """A pod with the claim `a`, reserved on n1; `bind` starts its PreBind."""

    def __init__(self, cluster: Cluster, state: Cycle) -> None:
        self.cluster, self.state, self.plugin, self.pod = cluster, state, VolumeBinding(), pod("a")
        self.handle = Handle(cluster.client, cluster.informers, cluster.told, cluster.clock)
        self.binder = PersistentVolumeBinder(cluster.context())

    @classmethod
    async def open(cls, *objects: Any) -> Attempt:
        cluster = await Cluster.open()
        for one in objects:
            await cluster.client.create(one)
        made = await cluster.node("n1", {"kubernetes.io/hostname": "n1"})
        listers = {kind: cluster.informers.of(kind).lister for kind in VolumeBinding.reads}
        found = cls(cluster, Cycle(nodes=(NodeInfo(node=made),), listers=listers))
        await found.binder.reconcile(Key("", "v"))
        assert found.plugin.pre_filter(found.state, found.pod) is None
        assert found.plugin.reserve(found.state, found.pod, "n1") is None
        return found

    def bind(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.plugin.pre_bind(self.handle, self.state, self.pod, "n1"))

    async def seen(self, kind: type[Any], holds: Callable[[Any], bool]) -> Any:
        """The object of this kind, once it is so."""
        there: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def look(_: Any, new: Any) -> None:
            if new is not None and holds(new) and not there.done():
                there.set_result(new)

        self.cluster.informers.of(kind).add_handler(look)
        return await there


async def test_binding_points_the_volume_to_the_claim_and_waits_for_the_binder() -> None:
    attempt = await Attempt.open(STATIC, claim("a", "static"), volume("v", node="n1"))
    binding = attempt.bind()
    found = await attempt.seen(PersistentVolume, lambda one: one.spec.claim_ref is not None)
    assert found.metadata.annotations[rules.BOUND_BY_CONTROLLER] == "yes"
    assert not binding.done()
    await attempt.binder.reconcile(Key("default", "a"))
    await binding
    assert rules.fully_bound(await attempt.cluster.client.get(PersistentVolumeClaim, "a", "default"))


async def test_binding_fails_when_the_provisioner_gives_the_node_back() -> None:
    attempt = await Attempt.open(LATE, claim("a"))
    binding = attempt.bind()
    found = await attempt.seen(PersistentVolumeClaim, lambda one: rules.SELECTED_NODE in one.metadata.annotations)
    assert found.metadata.annotations[rules.SELECTED_NODE] == "n1"
    undo = {"metadata": {"annotations": {rules.SELECTED_NODE: None}}}
    await attempt.cluster.client.patch(PersistentVolumeClaim, "a", "default", patch=undo)
    with pytest.raises(ApiError, match='selectedNode annotation reset for PVC "a"'):
        await binding
