"""What storage kinds promise beyond their verbs (rows storage/csi-api, pv-pvc, immutable data)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import Cluster

Tree = dict[str, Any]


def apply(cluster: Cluster, kind: str, name: str, **fields: Any) -> None:
    tree = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(tree))


def get(cluster: Cluster, *what: str) -> Tree:
    found: Tree = json.loads(cluster.kubectl("get", *what, "-o", "json"))
    return found


CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/tmp/x"}}


def test_there_is_a_default_class_and_claims_get_it(cluster: Cluster) -> None:
    assert "local-path (default)   minikube.io/local-path   Delete" in cluster.kubectl("get", "storageclass")
    apply(cluster, "PersistentVolumeClaim", "c", spec=CLAIM)
    found = get(cluster, "pvc", "c")
    assert found["spec"]["storageClassName"] == "local-path"
    assert found["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    other = '{"spec":{"storageClassName":"other"}}'
    assert "spec is immutable after creation" in cluster.refused("patch", "pvc", "c", "-p", other)


def test_a_claim_and_its_volume_are_bound_patched_and_really_deleted(cluster: Cluster) -> None:
    volume = f"walk-{id(cluster)}"
    apply(cluster, "PersistentVolume", volume, spec=VOLUME)
    apply(cluster, "PersistentVolumeClaim", "c", spec={**CLAIM, "storageClassName": "", "volumeName": volume})
    cluster.wait(lambda: get(cluster, "pvc", "c")["status"].get("phase") == "Bound")
    bound = get(cluster, "pv", volume)
    assert (bound["status"]["phase"], bound["spec"]["claimRef"]["name"]) == ("Bound", "c")
    assert bound["status"]["lastPhaseTransitionTime"]

    condition = {"type": "Patched", "status": "True", "reason": "r", "message": "m"}
    for what, status in (("pvc/c", {"conditions": [condition]}), (f"pv/{volume}", {"message": "m", "reason": "r"})):
        patch = json.dumps({"status": status})
        cluster.kubectl("patch", what, "--subresource=status", "--type=merge", "-p", patch)
        shown = get(cluster, what)["status"]
        assert {key: shown[key] for key in status} == status
        assert shown["phase"] == "Bound"
    bigger = '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
    refused = cluster.refused("patch", "pvc", "c", "-p", bigger)
    assert "only dynamically provisioned pvc can be resized" in refused

    cluster.kubectl("delete", "pvc/c", f"pv/{volume}", "--timeout=20s")
    assert "NotFound" in cluster.refused("get", "pvc", "c")
    assert "NotFound" in cluster.refused("get", "pv", volume)


def test_a_pod_may_ask_for_an_inline_csi_volume(cluster: Cluster) -> None:
    csi = {"driver": "inline.example.com", "readOnly": True, "volumeAttributes": {"a": "b"}}
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "csi": csi}]}
    apply(cluster, "Pod", "inline", spec=spec)
    cluster.kubectl("patch", "pod", "inline", "-p", '{"metadata":{"labels":{"a":"b"}}}')
    [listed] = get(cluster, "pods", "-l", "a=b")["items"]
    [found] = [one for one in listed["spec"]["volumes"] if one["name"] == "v"]
    assert found == {"name": "v", "csi": csi}
    cluster.kubectl("delete", "pod", "inline", "--wait=false")


@pytest.mark.parametrize("kind", ["configmap", "secret"])
def test_immutable_data_stays_as_it_is(cluster: Cluster, kind: str) -> None:
    create = ("create", "configmap", "fixed") if kind == "configmap" else ("create", "secret", "generic", "fixed")
    cluster.kubectl(*create, "--from-literal=k=v")
    cluster.kubectl("patch", kind, "fixed", "-p", '{"immutable":true}')
    value = "x" if kind == "configmap" else "eA=="
    sealed = "field is immutable when `immutable` is set"
    assert sealed in cluster.refused("patch", kind, "fixed", "-p", json.dumps({"data": {"k": value}}))
    assert sealed in cluster.refused("patch", kind, "fixed", "-p", '{"immutable":false}')
    cluster.kubectl("label", kind, "fixed", "still=possible")
    cluster.kubectl("delete", kind, "fixed")


def test_a_volume_attachment_shows_its_status(cluster: Cluster) -> None:
    tree = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": "attached"},
        "spec": {"attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(tree))
    cluster.kubectl("patch", "volumeattachment", "attached", "--subresource=status", "--type=merge", "-p",
                    '{"status":{"attached":true},"metadata":{"labels":{"a":"b"}}}')  # fmt: skip
    found = get(cluster, "volumeattachment", "attached")
    assert found["status"] == {"attached": True}
    assert "labels" not in found["metadata"]
    cluster.kubectl("delete", "volumeattachment", "attached")
