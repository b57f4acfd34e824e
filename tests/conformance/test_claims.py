"""Beyond the rows: claims and volumes as upstream's storage suites use them, on the default class and on hostPath."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.space import Obj, Space, condition, pod, shell
from tests.machines import sh

pytestmark = pytest.mark.conformance

PV, PVC, POD = "v1/PersistentVolume", "v1/PersistentVolumeClaim", "v1/Pod"


def claim(name: str = "claim", **spec: Any) -> Obj:
    usual = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": usual | spec}


def user(name: str, script: str = "sleep 3600", of: str = "claim", **spec: Any) -> Obj:
    """Mounts the claim at /v."""
    made = pod(name, *shell(script), volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": of}}], **spec)
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    return made


def phase(space: Space, kind: str, name: str) -> str:
    return space.get(kind, name)["status"]["phase"]


def reasons(space: Space, name: str) -> dict[str, str]:
    """Message by reason of an object's events."""
    return {each["reason"]: each["message"] for each in space.events(name)}


@pytest.fixture
def volume(space: Space) -> Iterator[Obj]:
    """A hostPath volume of a class of its own, which nothing provisions."""
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": space.name,
        "hostPath": {"path": f"/tmp/{space.name}", "type": "DirectoryOrCreate"},
    }
    yield space.create(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": space.name}, "spec": spec}
    )
    space.ask("DELETE", PV, space.name)
    shutil.rmtree(f"/tmp/{space.name}", ignore_errors=True)


def test_a_claim_waits_for_its_first_consumer_and_says_what_happens(space: Space):
    space.create(claim())
    waiting = "waiting for first consumer to be created before binding"
    space.wait(lambda: reasons(space, "claim").get("WaitForFirstConsumer") == waiting)
    assert phase(space, PVC, "claim") == "Pending"
    space.run(user("user"))
    bound = space.get(PVC, "claim")
    name, node = bound["spec"]["volumeName"], space.get(POD, "user")["spec"]["nodeName"]
    assert name == f"pvc-{bound['metadata']['uid']}"
    notes = bound["metadata"]["annotations"]
    assert notes["volume.kubernetes.io/selected-node"] == node
    assert notes["pv.kubernetes.io/bind-completed"] == "yes"
    assert bound["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert bound["status"]["accessModes"] == ["ReadWriteOnce"]
    assert bound["status"]["capacity"] == {"storage": "1Mi"}
    told = reasons(space, "claim")
    assert told["Provisioning"] == f'External provisioner is provisioning volume for claim "{space.name}/claim"'
    assert told["ProvisioningSucceeded"] == f"Successfully provisioned volume {name}"
    made = space.get(PV, name)
    assert made["status"]["phase"] == "Bound"
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    assert "kubernetes.io/pv-protection" in made["metadata"]["finalizers"]
    space.delete(POD, "user")
    space.delete(PVC, "claim")
    space.wait(lambda: space.gone(PV, name))


def test_a_claim_in_use_outlives_its_deletion_and_takes_no_new_pods(space: Space):
    space.create(claim())
    space.run(user("first"))
    name = space.get(PVC, "claim")["spec"]["volumeName"]
    space.delete(PVC, "claim")
    assert space.get(PVC, "claim")["metadata"]["deletionTimestamp"]
    space.create(user("second"))
    space.wait(lambda: condition(space.get(POD, "second"), "PodScheduled") == "False")
    found = space.get(POD, "second")["status"]["conditions"]
    why = next(each for each in found if each["type"] == "PodScheduled")
    assert why["reason"] == "Unschedulable"
    assert 'persistentvolumeclaim "claim" is being deleted' in why["message"]
    assert space.get(PVC, "claim")["metadata"]["finalizers"]
    space.delete(POD, "second")
    space.wait(lambda: space.gone(POD, "second"))
    space.stays(lambda: not space.gone(PVC, "claim"), 0.5)
    space.delete(POD, "first")
    space.wait(lambda: space.gone(PVC, "claim"))
    space.wait(lambda: space.gone(PV, name))


def test_a_pod_that_has_ended_holds_its_claim_until_it_is_deleted(space: Space):
    space.create(claim())
    space.finish(user("user", "echo kept > /v/f"))
    space.delete(PVC, "claim")
    space.stays(lambda: not space.gone(PVC, "claim"), 0.5)
    space.delete(POD, "user")
    space.wait(lambda: space.gone(PVC, "claim"))


def test_a_bound_volume_outlives_its_deletion(space: Space, volume: Obj):
    name = volume["metadata"]["name"]
    space.wait(lambda: "kubernetes.io/pv-protection" in space.get(PV, name)["metadata"].get("finalizers", []))
    space.create(claim(storageClassName=space.name))
    space.wait(lambda: phase(space, PV, name) == "Bound")
    space.delete(PV, name)
    space.stays(lambda: space.get(PV, name)["metadata"]["deletionTimestamp"], 0.5)
    assert phase(space, PVC, "claim") == "Bound"
    space.delete(PVC, "claim")
    space.wait(lambda: space.gone(PV, name))


def test_a_free_volume_is_deleted_at_once(space: Space, volume: Obj):
    space.wait(lambda: phase(space, PV, space.name) == "Available")
    space.delete(PV, space.name)
    space.wait(lambda: space.gone(PV, space.name))


@pytest.mark.parametrize("first", ["volume", "claim"])
@pytest.mark.parametrize("bound", [False, True], ids=["free", "pre-bound"])
def test_volume_and_claim_find_each_other_and_the_data_stays(space: Space, volume: Obj, first: str, bound: bool):
    """Either comes first, either names the other; with Retain the volume ends Released, its files kept."""
    name = space.name
    wanted = claim(storageClassName=name, **({"volumeName": name} if bound and first == "volume" else {}))
    if first == "claim":
        space.delete(PV, name)
        space.wait(lambda: space.gone(PV, name))
        space.create(wanted)
        reference = {"claimRef": {"namespace": name, "name": "claim"}} if bound else {}
        meta = {"name": name}
        space.create({**volume, "metadata": meta, "spec": {**volume["spec"], **reference}})
    else:
        space.create(wanted)
    space.wait(lambda: phase(space, PV, name) == "Bound" and phase(space, PVC, "claim") == "Bound")
    reference = space.get(PV, name)["spec"]["claimRef"]
    assert (reference["namespace"], reference["name"]) == (name, "claim")
    assert reference["uid"] == space.get(PVC, "claim")["metadata"]["uid"]
    assert space.output(user("user", "echo kept > /v/f; cat /v/f")) == "kept\n"
    space.delete(POD, "user")
    space.delete(PVC, "claim")
    space.wait(lambda: phase(space, PV, name) == "Released")
    space.create(claim("later", storageClassName=name))
    space.stays(lambda: phase(space, PVC, "later") == "Pending", 0.5)
    space.patch(PV, name, {"spec": {"claimRef": None}})
    space.wait(lambda: phase(space, PVC, "later") == "Bound")
    assert space.output(user("reader", "cat /v/f", of="later")) == "kept\n"


def test_a_claim_without_class_gets_the_default_when_there_is_one_later(space: Space):
    """Upstream's RetroactiveDefaultStorageClass; an empty class stays empty."""
    space.create(claim("none", storageClassName=""))
    space.create(claim("default"))
    assert space.get(PVC, "default")["spec"]["storageClassName"] == "local-path"
    assert space.get(PVC, "none")["spec"]["storageClassName"] == ""
    why = "no persistent volumes available for this claim and no storage class is set"
    space.wait(lambda: reasons(space, "none").get("FailedBinding") == why)


def test_a_claim_of_an_unknown_class_is_told(space: Space):
    space.create(claim(storageClassName="no-such-class"))
    why = 'storageclass.storage.k8s.io "no-such-class" not found'
    space.wait(lambda: reasons(space, "claim").get("ProvisioningFailed") == why)
    space.create(user("user"))
    space.wait(lambda: condition(space.get(POD, "user"), "PodScheduled") == "False")
    found = next(each for each in space.get(POD, "user")["status"]["conditions"] if each["type"] == "PodScheduled")
    assert "pod has unbound immediate PersistentVolumeClaims" in found["message"]


def test_only_what_may_grow_grows(space: Space, volume: Obj):
    """Refused without a class that allows it, and never to less."""
    space.create(claim(storageClassName=space.name))
    space.wait(lambda: phase(space, PVC, "claim") == "Bound")
    more = {"spec": {"resources": {"requests": {"storage": "2Mi"}}}}
    why = space.ask("PATCH", PVC, "claim", more, type="application/merge-patch+json").refused(403, "Forbidden")
    assert "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc" in why
    space.create(claim("grows"))
    space.run(user("user", of="grows"))
    space.patch(PVC, "grows", more)
    space.wait(lambda: space.get(PVC, "grows")["status"]["capacity"] == {"storage": "2Mi"})
    assert space.get(PV, space.get(PVC, "grows")["spec"]["volumeName"])["spec"]["capacity"] == {"storage": "2Mi"}
    less = {"spec": {"resources": {"requests": {"storage": "1Mi"}}}}
    why = space.ask("PATCH", PVC, "grows", less, type="application/merge-patch+json").refused(422, "Invalid")
    assert "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity" in why


def test_a_claim_for_one_pod_is_for_one_pod_at_a_time(space: Space):
    space.create(claim(accessModes=["ReadWriteOncePod"]))
    space.run(user("first"))
    space.create(user("second"))
    space.wait(lambda: condition(space.get(POD, "second"), "PodScheduled") == "False")
    found = next(
        each for each in space.get(POD, "second")["status"]["conditions"] if each["type"] == "PodScheduled"
    )
    assert (
        "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
        in found["message"]
    )
    space.delete(POD, "first")
    space.wait(lambda: phase(space, POD, "second") == "Running")


def test_a_generic_ephemeral_volume_is_the_pods_own_and_goes_with_it(space: Space):
    made = pod("pod", *shell("echo mine > /v/f; sleep 3600"))
    template = {"metadata": {"labels": {"of": "pod"}}, "spec": claim()["spec"]}
    made["spec"]["volumes"] = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "scratch", "mountPath": "/v"}]
    running = space.run(made)
    found = space.get(PVC, "pod-scratch")
    assert found["metadata"]["labels"] == {"of": "pod"}
    assert found["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": "pod",
            "uid": running["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert space.exec("pod", "cat", "/v/f") == "mine\n"
    space.delete(POD, "pod")
    space.wait(lambda: space.gone(PVC, "pod-scratch"))
    space.wait(lambda: space.gone(PV, found["spec"]["volumeName"]))


def test_a_pod_held_by_a_finalizer_lets_its_ephemeral_volume_go(space: Space):
    """Else a finalizer of the pod that waits for the claim would wait for ever."""
    made = pod("pod")
    made["metadata"]["finalizers"] = ["example.com/waits"]
    made["spec"]["volumes"] = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim()["spec"]}}}]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "scratch", "mountPath": "/v"}]
    space.run(made)
    space.delete(POD, "pod")
    space.delete(PVC, "pod-scratch")
    space.wait(lambda: space.gone(PVC, "pod-scratch"))
    assert space.get(POD, "pod")["metadata"]["deletionTimestamp"]
    space.patch(POD, "pod", {"metadata": {"finalizers": None}})
    space.wait(lambda: space.gone(POD, "pod"))


def test_a_claim_of_the_name_of_an_ephemeral_volume_is_not_taken(space: Space):
    space.create(claim("pod-scratch"))
    made = pod("pod")
    made["spec"]["volumes"] = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim()["spec"]}}}]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "scratch", "mountPath": "/v"}]
    space.create(made)
    why = f"PVC {space.name}/pod-scratch was not created for pod {space.name}/pod (pod is not owner)"
    space.wait(lambda: any(why in each["message"] for each in space.events("pod")))


@pytest.fixture
def block(space: Space) -> Iterator[tuple[Obj, Path]]:
    """A local volume of the first node that is a block device, and the file behind that."""
    node, image = next(iter(space.site.nodes)), Path(f"/tmp/{space.name}.img")
    image.write_bytes(b"hello".ljust(1 << 20, b"\0"))
    device = sh("losetup", "--find", "--show", str(image)).stdout.strip()
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    spec = {
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Block",
        "storageClassName": space.name,
        "local": {"path": device},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
    }
    made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": space.name}, "spec": spec}
    yield space.create(made), image
    space.ask("DELETE", PV, space.name)
    sh("losetup", "--detach", device)
    image.unlink()


def test_a_block_volume_is_a_device_of_the_container(space: Space, block: tuple[Obj, Path]):
    """Whoever mounts it instead is told that it is no file system."""
    _, image = block
    space.create(claim(storageClassName=space.name, volumeMode="Block"))
    script = "stat -c %F /dev/mine; head -c 5 /dev/mine; printf there | dd of=/dev/mine conv=fsync 2>/dev/null"
    made = user("user", script)
    del made["spec"]["containers"][0]["volumeMounts"]
    made["spec"]["containers"][0]["volumeDevices"] = [{"name": "v", "devicePath": "/dev/mine"}]
    assert space.output(made) == "block special file\nhello"
    assert image.read_bytes()[:5] == b"there"
    only = user("only", "(printf again > /dev/mine) 2>/dev/null || echo refused")
    only["spec"] = {
        **made["spec"],
        "containers": [{**made["spec"]["containers"][0], "command": only["spec"]["containers"][0]["command"]}],
    }
    only["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "claim", "readOnly": True}}]
    assert space.output(only) == "refused\n"
    space.create(user("mounter"))
    why = "volume v has volumeMode Block, but is specified in volumeMounts"
    space.wait(lambda: any(why in each["message"] for each in space.events("mounter")))
    space.delete(POD, "mounter")
