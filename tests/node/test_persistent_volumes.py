"""Claims, volumes and the default StorageClass with real containers and directories (rows storage/pv-pvc)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.node.pods import STILL, Namespace, Tree, pod

pytestmark = pytest.mark.node

MOUNT = [{"name": "data", "mountPath": "/data"}]


def claim(name: str, **spec: Any) -> Tree:
    given = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": given}


def volume(name: str, of: str, **spec: Any) -> Tree:
    given = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "10Mi"}, "storageClassName": of, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": given}


def of(name: str, **source: Any) -> Tree:
    return {"name": "data", "persistentVolumeClaim": {"claimName": name, **source}}


def on(node: str) -> Tree:
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]
    return {"required": {"nodeSelectorTerms": terms}}


def reclaimed(ns: Namespace, name: str) -> None:
    ns.machine.wait(lambda: name not in ns.machine.kubectl("get", "pv", "-o", "name"))


def test_a_stateful_set_keeps_its_data_and_deleted_claims_take_their_directories_along(ns: Namespace) -> None:
    template = pod("db", f"echo $HOSTNAME >> /data/starts; {STILL}", mounts=MOUNT, restartPolicy="Always")
    template["metadata"] = {"labels": {"app": "db"}}
    spec = {
        "serviceName": "db",
        "replicas": 2,
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": template["metadata"], "spec": template["spec"]},
        "volumeClaimTemplates": [claim("data")],
    }
    ns.apply({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec})
    ns.kubectl("rollout", "status", "sts/db", "--timeout=40s")
    ns.kubectl("delete", "pod", "db-0")
    ns.kubectl("rollout", "status", "sts/db", "--timeout=40s")
    assert ns.inside("db-0", "cat /data/starts") == "db-0\ndb-0\n"
    assert ns.inside("db-1", "cat /data/starts") == "db-1\n"

    bound = ns.get("pvc", "data-db-0")
    assert (bound["spec"]["storageClassName"], bound["status"]["phase"]) == ("local-path", "Bound")
    persistent = json.loads(ns.machine.kubectl("get", "pv", bound["spec"]["volumeName"], "-o", "json"))
    directory = Path(persistent["spec"]["local"]["path"])
    assert directory.parent == ns.machine.root / "data/agent/storage"
    assert (directory / "starts").exists()

    ns.kubectl("delete", "pvc/data-db-0", "--wait=false")
    assert ns.get("pvc", "data-db-0")["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    ns.kubectl("delete", "sts/db")
    reclaimed(ns, bound["spec"]["volumeName"])
    assert not directory.exists()


def test_a_new_volume_is_writable_by_its_group_and_grows_on_demand(ns: Namespace) -> None:
    security = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000}
    script = "stat -c '%a %g' /data; echo mine > /data/f; stat -c '%u %g' /data/f"
    ns.apply(claim("c"), pod("user", script, volumes=[of("c")], mounts=MOUNT, securityContext=security))
    assert ns.output("user") == "2777 2000\n1000 2000\n"
    reader = pod("reader", "cat /data/f; touch /data/g || true", volumes=[of("c", readOnly=True)], mounts=MOUNT)
    ns.apply(reader)
    assert ns.output("reader") == "mine\ntouch: /data/g: Read-only file system\n"
    ns.kubectl("patch", "pvc", "c", "-p", '{"spec":{"resources":{"requests":{"storage":"20Mi"}}}}')
    ns.machine.wait(lambda: ns.get("pvc", "c")["status"]["capacity"] == {"storage": "20Mi"})
    assert ("VolumeResizeSuccessful", "Resize volume succeeded") in ns.events("c")


def test_volumes_of_host_path_and_local_kind(ns: Namespace) -> None:
    machine, root = ns.machine, ns.machine.root / f"disk-{ns.name}"
    (root / "there").mkdir(parents=True)
    (root / "there/f").write_text("local\n")
    static = f"static-{ns.name}"
    ns.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": static},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        volume(f"there-{ns.name}", static, local={"path": str(root / "there")}, nodeAffinity=on(machine.name)),
        claim("local", storageClassName=static),
        volume(f"host-{ns.name}", "", hostPath={"path": str(root / "host"), "type": "DirectoryOrCreate"}),
        claim("host", storageClassName="", volumeName=f"host-{ns.name}"),
    )
    ns.told("local", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    ns.apply(pod("a", "cat /data/f", volumes=[of("local")], mounts=MOUNT))
    ns.apply(pod("b", "echo x > /data/f; cat /data/f", volumes=[of("host")], mounts=MOUNT))
    assert ns.output("a") == "local\n"
    assert ns.output("b") == "x\n"
    ns.kubectl("delete", "pod/a", "pod/b", "pvc/local", "pvc/host")
    phase = "jsonpath={.status.phase}"
    machine.wait(lambda: machine.kubectl("get", "pv", f"there-{ns.name}", "-o", phase) == "Released")
    assert (root / "there/f").exists()
    machine.kubectl("delete", "pv", f"there-{ns.name}", f"host-{ns.name}")
    machine.kubectl("delete", "storageclass", static)


def test_a_generic_ephemeral_volume_goes_with_its_pod(ns: Namespace) -> None:
    template = {"spec": claim("x")["spec"]}
    scratch = {"name": "data", "ephemeral": {"volumeClaimTemplate": template}}
    ns.apply(pod("web", f"echo x > /data/f; {STILL}", volumes=[scratch], mounts=MOUNT))
    ns.running("web")
    made = ns.get("pvc", "web-data")
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Pod"
    ns.kubectl("delete", "pod/web")
    reclaimed(ns, made["spec"]["volumeName"])
    assert not list((ns.machine.root / "data/agent/storage").glob(f"{made['spec']['volumeName']}*"))


def test_a_pod_without_its_claim_is_not_scheduled_and_says_why(ns: Namespace) -> None:
    ns.apply(pod("waiter", "true", volumes=[of("late")], mounts=MOUNT))

    def why() -> str:
        return ns.kubectl("get", "pod", "waiter", "-o", "jsonpath={.status.conditions[0].message}")

    ns.machine.wait(lambda: 'persistentvolumeclaim "late" not found' in why())
    ns.apply(claim("late", storageClassName="nobody"))
    ns.machine.wait(lambda: "pod has unbound immediate PersistentVolumeClaims" in why())
    ns.told("late", "ProvisioningFailed", 'storageclass.storage.k8s.io "nobody" not found')
    ns.kubectl("delete", "pvc", "late")
    ns.apply(claim("late"))
    ns.output("waiter")


def test_a_claim_for_one_pod_is_for_one_pod(ns: Namespace) -> None:
    ns.apply(claim("once", accessModes=["ReadWriteOncePod"]))
    ns.apply(pod("first", STILL, volumes=[of("once")], mounts=MOUNT))
    ns.running("first")
    ns.apply(pod("second", "true", volumes=[of("once")], mounts=MOUNT))
    conflict = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    ns.machine.wait(lambda: any(conflict in message for _, message in ns.events("second")))
    ns.kubectl("delete", "pod/first")
    ns.output("second")


def test_a_local_volume_whose_directory_is_missing_is_told(ns: Namespace) -> None:
    path, name = f"/nowhere-{ns.name}", f"gone-{ns.name}"
    ns.apply(volume(name, "manual", local={"path": path}, nodeAffinity=on(ns.machine.name)))
    ns.apply(claim("gone", storageClassName="manual", volumeName=name))
    ns.apply(pod("waiter", STILL, volumes=[of("gone")], mounts=MOUNT))
    failed = f'MountVolume.NewMounter initialization failed for volume "{name}" : path "{path}" does not exist'
    ns.told("waiter", "FailedMount", failed)
    ns.kubectl("delete", "pod/waiter", "pvc/gone")
    ns.machine.kubectl("delete", "pv", name)
