"""storage/csi-api and pv-pvc: the kinds of storage as objects."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest

from tests.api.raw import MERGE
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod, shell

pytestmark = pytest.mark.conformance

STRATEGIC = "application/strategic-merge-patch+json"


def obj(kind: str, name: str, **fields: Any) -> Obj:
    version, _, word = kind.rpartition("/")
    return {"apiVersion": version, "kind": word, "metadata": {"name": name}, **fields}


@row("CSIInlineVolumes should support CSIVolumeSource in Pod API")
def test_a_pod_may_name_csi_volumes_inline(space: Space):
    driver = "e2e.example.com"
    volumes = [
        {"name": "one", "csi": {"driver": driver}},
        {"name": "two", "csi": {"driver": driver, "fsType": "ext4", "readOnly": True}},
    ]
    made = pod("inline", *shell("ls /mnt/*"), volumes=volumes)
    made["spec"]["containers"][0]["volumeMounts"] = [
        {"name": each["name"], "mountPath": f"/mnt/{each['name']}"} for each in volumes
    ]
    created = space.create(made)
    assert [each for each in created["spec"]["volumes"] if "csi" in each] == volumes
    space.ask("POST", "v1/Pod", body=made).refused(409, "AlreadyExists")
    assert space.get("v1/Pod", "inline")["metadata"]["uid"] == created["metadata"]["uid"]
    assert [each["metadata"]["name"] for each in space.list("v1/Pod")] == ["inline"]
    patched = space.patch("v1/Pod", "inline", {"metadata": {"annotations": {"patched": "true"}}})
    assert patched["metadata"]["annotations"]["patched"] == "true"
    why = (
        'MountVolume.SetUp failed for volume "one" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: '
    )
    why += f"driver name {driver} not found in the list of registered CSI drivers"
    space.wait(lambda: any(each["message"] == why for each in space.events("inline")))
    space.delete("v1/Pod", "inline")
    answer = space.ask("GET", "v1/Pod", "inline")
    assert answer.code == 404 or answer.ok()["metadata"]["deletionTimestamp"]
    space.wait(lambda: space.gone("v1/Pod", "inline"))


def attachment(space: Space, name: str) -> Obj:
    source = {"persistentVolumeName": f"pv-{name}"}
    node = next(iter(space.site.nodes))
    spec = {"attacher": "e2e-test.storage.k8s.io", "nodeName": node, "source": source}
    return obj("storage.k8s.io/v1/VolumeAttachment", name, spec=spec, status={"attached": False})


@pytest.mark.parametrize(
    ("kind", "patch", "make"),
    [
        pytest.param(
            "storage.k8s.io/v1/CSIDriver",
            STRATEGIC,
            lambda _, name: obj(
                "storage.k8s.io/v1/CSIDriver",
                name,
                spec={"volumeLifecycleModes": ["Ephemeral"], "fsGroupPolicy": "ReadWriteOnceWithFSType"},
            ),
            marks=row("CSIInlineVolumes should run through the lifecycle of a CSIDriver"),
            id="CSIDriver",
        ),
        pytest.param(
            "storage.k8s.io/v1/CSINode",
            STRATEGIC,
            lambda _, name: obj("storage.k8s.io/v1/CSINode", name, spec={"drivers": None}),
            marks=row("CSINodes CSI Conformance should run through the lifecycle of a csinode"),
            id="CSINode",
        ),
        pytest.param(
            "storage.k8s.io/v1/StorageClass",
            STRATEGIC,
            lambda _, name: obj("storage.k8s.io/v1/StorageClass", name, provisioner="e2e-fake-provisioner"),
            marks=row("StorageClasses CSI Conformance should run through the lifecycle of a StorageClass"),
            id="StorageClass",
        ),
        pytest.param(
            "storage.k8s.io/v1/VolumeAttachment",
            MERGE,
            attachment,
            marks=row("VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment"),
            id="VolumeAttachment",
        ),
    ],
)
def test_the_life_of_an_object(space: Space, kind: str, patch: str, make: Callable[[Space, str], Obj]):
    first, second = f"{space.name}-one", f"{space.name}-two"
    created = space.create(make(space, first))
    space.ask("POST", kind, body=make(space, first)).refused(409, "AlreadyExists")
    assert space.get(kind, first)["metadata"]["uid"] == created["metadata"]["uid"]
    patched = space.patch(kind, first, {"metadata": {"labels": {first: "patched"}}}, type=patch)
    assert patched["metadata"]["labels"][first] == "patched"
    assert int(patched["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])
    found = space.list(kind, labelSelector=f"{first}=patched")
    assert [each["metadata"]["name"] for each in found] == [first]
    space.delete(kind, first)
    space.wait(lambda: not space.list(kind, labelSelector=f"{first}=patched"))
    space.create(make(space, second))
    current = space.get(kind, second)
    current["metadata"]["labels"] = {second: "updated"}
    assert space.update(current)["metadata"]["labels"] == {second: "updated"}
    assert len(space.list(kind, labelSelector=f"{second}=updated")) == 1
    space.ask("DELETE", kind, query={"labelSelector": f"{second}=updated"}).ok()
    space.wait(lambda: not space.list(kind, labelSelector=f"{second}=updated"))
    assert space.gone(kind, second)


def test_every_node_has_a_csi_node(space: Space):
    for name in space.site.nodes:
        [owner] = space.get("storage.k8s.io/v1/CSINode", name)["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Node", space.get("v1/Node", name)["metadata"]["uid"])


@row("VolumeAttachment Conformance should apply changes to a volumeattachment status")
def test_the_status_of_an_attachment(space: Space):
    kind, name = "storage.k8s.io/v1/VolumeAttachment", space.name
    space.create(attachment(space, name))
    space.patch(kind, name, {"metadata": {"labels": {name: "patched"}}})
    assert space.get(kind, name, sub="status")["status"]["attached"] is False
    assert space.patch(kind, name, {"status": {"attached": True}}, sub="status")["status"]["attached"] is True
    current = space.get(kind, name)
    assert current["status"]["attached"] is True
    current["status"]["attached"] = False
    assert space.update(current, sub="status")["status"]["attached"] is False
    space.delete(kind, name)
    space.wait(lambda: not space.list(kind, labelSelector=f"{name}=patched"))


@row("CSIStorageCapacity should support CSIStorageCapacities API operations")
def test_storage_capacities_are_served_and_watched(space: Space):
    kind = "storage.k8s.io/v1/CSIStorageCapacity"
    groups = {each["name"]: each for each in space.http.get("/apis").ok()["groups"]}
    assert "v1" in [each["version"] for each in groups["storage.k8s.io"]["versions"]]
    assert "v1" in [each["version"] for each in space.http.get("/apis/storage.k8s.io").ok()["versions"]]
    resources = {each["name"]: each for each in space.http.get("/apis/storage.k8s.io/v1").ok()["resources"]}
    assert set(resources["csistoragecapacities"]["verbs"]) >= {
        *("create", "get", "list", "watch", "update", "patch", "delete", "deletecollection")
    }
    selector = {"labelSelector": f"test={space.name}"}

    def capacity(name: str) -> Obj:
        made = obj(kind, name, storageClassName="e2e.example.com")
        made["metadata"]["labels"] = {"test": space.name}
        return made

    created = space.create(capacity("one"))
    space.ask("POST", kind, body=capacity("one")).refused(409, "AlreadyExists")
    space.create(capacity("two"))
    everywhere = "/apis/storage.k8s.io/v1/csistoragecapacities"
    version = space.http.get(f"{everywhere}?labelSelector=test%3D{space.name}").ok()["metadata"]["resourceVersion"]
    watch = f"watch=true&timeoutSeconds=2&resourceVersion={version}&labelSelector=test%3D{space.name}"
    seen: Queue[list[Obj]] = Queue()
    watchers = [
        threading.Thread(target=lambda path=path: seen.put(space.http.events(f"{path}?{watch}")))
        for path in (space.path(kind), everywhere)
    ]
    for each in watchers:
        each.start()
    space.create(capacity("three"))
    assert space.get(kind, "one")["metadata"]["uid"] == created["metadata"]["uid"]
    assert len(space.list(kind, **selector)) == 3
    assert len(space.http.get(f"{everywhere}?labelSelector=test%3D{space.name}").ok()["items"]) == 3
    patched = space.patch(kind, "one", {"metadata": {"annotations": {"patched": "true"}}})
    patched["metadata"]["annotations"]["updated"] = "true"
    assert space.update(patched)["metadata"]["annotations"] == {"patched": "true", "updated": "true"}
    space.delete(kind, "one")
    assert space.gone(kind, "one")
    assert len(space.list(kind, **selector)) == 2
    space.ask("DELETE", kind, query=selector).ok()
    assert space.list(kind, **selector) == []
    for each in watchers:
        each.join()
        events = [(event["type"], event["object"]["metadata"]["name"]) for event in seen.get()]
        assert events[:4] == [("ADDED", "three"), ("MODIFIED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
        assert sorted(events[4:]) == [("DELETED", "three"), ("DELETED", "two")]


def volume(space: Space, name: str) -> Obj:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": space.name,
        "csi": {"driver": f"e2e-driver-{space.name}", "volumeHandle": f"e2e-test-handle-{space.name}"},
    }
    made = obj("v1/PersistentVolume", name, spec=spec)
    made["metadata"]["labels"] = {"e2e-pv-pool": space.name}
    return made


def claim(space: Space, name: str) -> Obj:
    resources = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": space.name}
    made = obj("v1/PersistentVolumeClaim", name, spec=spec)
    made["metadata"]["labels"] = {"e2e-pv-pool": space.name}
    return made


PV, PVC = "v1/PersistentVolume", "v1/PersistentVolumeClaim"


def phase(space: Space, kind: str, name: str) -> str:
    return space.get(kind, name)["status"]["phase"]


@row("PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC")
def test_the_life_of_a_volume_and_its_claim(space: Space):
    pool = {"labelSelector": f"e2e-pv-pool={space.name}"}

    def bound(suffix: str) -> str:
        name = f"{space.name}-{suffix}"
        space.create(volume(space, name))
        space.create(claim(space, suffix))
        space.wait(lambda: phase(space, PVC, suffix) == "Bound" and phase(space, PV, name) == "Bound")
        return name

    first = bound("one")
    assert len(space.list(PV, **pool)) == len(space.list(PVC, **pool)) == 1
    for kind, name in ((PV, first), (PVC, "one")):
        patched = space.patch(kind, name, {"metadata": {"labels": {name: "patched"}}}, type=STRATEGIC)
        assert patched["metadata"]["labels"][name] == "patched"
    assert space.get(PVC, "one")["spec"]["volumeName"] == first
    space.delete(PVC, "one")
    space.wait(lambda: space.gone(PVC, "one"))
    space.wait(lambda: phase(space, PV, first) == "Released")
    space.delete(PV, first)
    space.wait(lambda: space.gone(PV, first))
    second = bound("two")
    for kind, name in ((PV, second), (PVC, "two")):
        current = space.get(kind, name)
        current["metadata"]["labels"][name] = "updated"
        assert space.update(current)["metadata"]["labels"][name] == "updated"
    assert len(space.list(PVC, labelSelector="two=updated")) == 1
    space.ask("DELETE", PVC, query={"labelSelector": "two=updated"}).ok()
    space.wait(lambda: not space.list(PVC, labelSelector="two=updated"))
    space.ask("DELETE", PV, query={"labelSelector": f"{second}=updated"}).ok()
    space.wait(lambda: not space.list(PV, labelSelector=f"{second}=updated"))


@row("PersistentVolumes CSI Conformance should apply changes to a pv/pvc status")
def test_the_status_of_a_volume_and_its_claim(space: Space):
    name = space.name
    space.create(volume(space, name))
    space.create(claim(space, "claim"))
    space.wait(lambda: phase(space, PVC, "claim") == "Bound" and phase(space, PV, name) == "Bound")
    assert space.get(PVC, "claim", sub="status")["status"]["phase"] == "Bound"
    assert space.get(PV, name, sub="status")["status"]["phase"] == "Bound"
    for reason, change in (("patched", "patch"), ("updated", "update")):
        wanted = {"type": f"Status{reason}", "status": "True", "reason": f"E2E {change}Status"}
        current = space.get(PVC, "claim")
        if change == "patch":
            answer = space.patch(PVC, "claim", {"status": {"conditions": [wanted]}}, sub="status")
        else:
            current["status"]["conditions"].append(wanted)
            answer = space.update(current, sub="status")
        conditions = [(each["type"], each["reason"]) for each in answer["status"]["conditions"]]
        assert (wanted["type"], wanted["reason"]) in conditions
        words = {"message": f"Status{reason}", "reason": f"E2E {change}Status"}
        current = space.get(PV, name)
        if change == "patch":
            answer = space.patch(PV, name, {"status": words}, sub="status")
        else:
            answer = space.update({**current, "status": {**current["status"], **words}}, sub="status")
        assert words.items() <= answer["status"].items()
    space.delete(PVC, "claim")
    space.wait(lambda: space.gone(PVC, "claim"))
    space.delete(PV, name)
    space.wait(lambda: space.gone(PV, name))
