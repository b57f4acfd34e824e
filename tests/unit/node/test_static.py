"""Static pods: what a manifest becomes on a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from minikube.api.meta import replace_meta
from minikube.api.well_known import MIRROR_POD
from minikube.kit.clock import SYSTEM
from minikube.node.pod.pods import is_static
from minikube.node.static import StaticPods, mirrors, static_pod

MANIFEST = b"""
apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {a: b}}
spec:
  containers: [{name: c, image: i}]
"""


def test_a_manifest_becomes_a_pod_of_this_node() -> None:
    pod = static_pod(MANIFEST, "/m/web.yaml", "n1")
    assert (pod.metadata.name, pod.metadata.namespace, pod.spec.node_name) == ("web-n1", "default", "n1")
    assert pod.metadata.annotations["a"] == "b"
    assert is_static(pod)
    assert [(each.operator, each.effect) for each in pod.spec.tolerations] == [("Exists", "NoExecute")]


def test_what_a_manifest_leaves_out_is_as_the_api_would_have_it() -> None:
    probed = MANIFEST.replace(b"image: i", b"image: 'i:latest', livenessProbe: {exec: {command: [a]}}")
    pod = static_pod(probed, "/m/web.yaml", "n1")
    [container] = pod.spec.containers
    assert container.image_pull_policy == "Always"
    assert container.liveness_probe is not None
    assert (container.liveness_probe.period_seconds, container.liveness_probe.failure_threshold) == (10, 3)
    assert (pod.spec.restart_policy, pod.spec.termination_grace_period_seconds) == ("Always", 30)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (b"restartPolicy: Sometimes", "spec.restartPolicy: Unsupported value"),
        (b"serviceAccountName: me", "static pods may not reference serviceaccounts"),
        (b"volumes: [{name: v, secret: {secretName: s}}]", "static pods may not reference secrets"),
        (b"volumes: [{name: v, projected: {sources: [{configMap: {name: c}}]}}]", "may not reference configmaps"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(more: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        static_pod(MANIFEST + b"  " + more + b"\n", "/m/x", "n1")


def test_another_content_is_another_pod() -> None:
    one, other = static_pod(MANIFEST, "/m/w", "n1"), static_pod(MANIFEST + b"# x", "/m/w", "n1")
    assert one.metadata.uid != other.metadata.uid
    assert one.metadata.uid == static_pod(MANIFEST, "/m/w", "n1").metadata.uid


async def test_the_first_of_two_manifests_of_a_name_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("b.yaml", "a.yaml", "c.json"):
        (tmp_path / name).write_bytes(MANIFEST + f"# {name}".encode())
    (tmp_path / "broken.yaml").write_bytes(b"{")
    static = StaticPods(tmp_path, "n1", SYSTEM, lambda old, new: None)
    await static.load()
    assert [each.spec for each in static.pods.values()] == [static_pod(MANIFEST, "", "n1").spec]
    assert list(static.pods) == [static_pod(MANIFEST + b"# a.yaml", str(tmp_path / "a.yaml"), "n1").metadata.uid]
    assert caplog.text.count("another manifest has a pod named default/web-n1") == 2
    assert "broken.yaml" in caplog.text


def test_a_mirror_shows_one_version() -> None:
    one, other = static_pod(MANIFEST, "/m/w", "n1"), static_pod(MANIFEST + b"# x", "/m/w", "n1")
    mirror = replace_meta(one, annotations={MIRROR_POD: one.metadata.uid})
    assert mirrors(mirror, one)
    assert not mirrors(mirror, other)


@pytest.mark.parametrize("manifest", [b"kind: Service", b"[]", b"kind: Pod\nmetadata: {name: x}"])
def test_what_is_no_pod_is_refused(manifest: bytes) -> None:
    with pytest.raises(ValueError):
        static_pod(manifest, "/m/x", "n1")
