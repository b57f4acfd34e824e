"""The Python clients people use, each through create, apply, patch, watch and delete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kr8s.asyncio
import kubernetes
import lightkube
import pytest
from kr8s.asyncio.objects import ConfigMap as AsyncConfigMap
from kr8s.asyncio.objects import Pod as AsyncPod
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError
from lightkube.core.exceptions import ApiError as LightkubeError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import ServicePort, ServiceSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Service
from lightkube.types import PatchType

from tests.api.conftest import Cluster

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]},
        },
    },
}
WIDGETS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.clients.example.com"},
    "spec": {
        "group": "clients.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "singular": "widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def widgets(shared: Cluster) -> Iterator[None]:
    shared.kubectl("apply", "-f", "-", stdin=json.dumps(WIDGETS))
    yield
    shared.kubectl("delete", "crd", "widgets.clients.example.com", "--wait=false")


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    return cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}")


@pytest.fixture
def api(cluster: Cluster) -> kubernetes.client.ApiClient:
    return kubernetes.config.new_client_from_config(str(cluster.kubeconfig))


def test_kubernetes_creates_patches_scales_watches_and_deletes(api: kubernetes.client.ApiClient, namespace: str):
    apps, core = kubernetes.client.AppsV1Api(api), kubernetes.client.CoreV1Api(api)
    made = apps.create_namespaced_deployment(namespace, DEPLOYMENT)
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    watch = kubernetes.watch.Watch()
    for event in watch.stream(apps.list_namespaced_deployment, namespace, timeout_seconds=20):
        if event["object"].status.ready_replicas == 2:
            watch.stop()
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}
    patched = apps.patch_namespaced_deployment("web", namespace, patch)
    assert [one.image for one in patched.spec.template.spec.containers] == ["web:2"]
    scale = apps.read_namespaced_deployment_scale("web", namespace)
    scale.spec.replicas, scale.metadata.resource_version = 1, None
    assert apps.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas == 1
    patched_scale = apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 3}})
    assert patched_scale.spec.replicas == 3
    pods = core.list_namespaced_pod(namespace, label_selector="app in (web)", field_selector="status.phase!=Failed")
    assert pods.items
    assert kubernetes.client.VersionApi(api).get_code().major == "1"
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.read_namespaced_pod("nobody", namespace)
    assert refused.value.status == 404


def test_the_dynamic_client_discovers_applies_and_conflicts(
    api: kubernetes.client.ApiClient, namespace: str, widgets: None
):
    dynamic = DynamicClient(api)
    kind = dynamic.resources.get(api_version="clients.example.com/v1", kind="Widget")
    body = {
        "apiVersion": "clients.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "a"},
        "spec": {"size": 1},
    }
    assert dynamic.server_side_apply(kind, body, namespace=namespace, field_manager="one").spec.size == 1
    with pytest.raises(ConflictError):
        dynamic.server_side_apply(kind, {**body, "spec": {"size": 2}}, namespace=namespace, field_manager="two")
    forced = dynamic.server_side_apply(
        kind, {**body, "spec": {"size": 2}}, namespace=namespace, field_manager="two", force_conflicts=True
    )
    assert forced.spec.size == 2
    status = {"status": {"phase": "Done"}}
    done = kind.status.patch(
        body=status, name="a", namespace=namespace, content_type="application/merge-patch+json"
    )
    assert done.status.phase == "Done"
    kind.delete(name="a", namespace=namespace)
    with pytest.raises(NotFoundError):
        kind.get(name="a", namespace=namespace)


async def test_kr8s_creates_waits_labels_and_deletes(cluster: Cluster, namespace: str):
    client = await kr8s.asyncio.api(kubeconfig=str(cluster.kubeconfig), namespace=namespace)
    pod = await AsyncPod(
        {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "c:1"}]}},
        api=client, namespace=namespace,
    )  # fmt: skip
    await pod.create()
    await pod.wait("condition=Ready", timeout=20)
    await pod.label({"tier": "web"})
    found = [one async for one in client.get("pods", namespace=namespace, label_selector={"tier": "web"})]
    assert [one.name for one in found] == ["p"]
    await pod.patch({"metadata": {"annotations": {"a": "b"}}})
    assert pod.annotations == {"a": "b"}
    config = await AsyncConfigMap({"metadata": {"name": "c"}, "data": {"a": "b"}}, api=client, namespace=namespace)
    await config.create()
    await config.delete()
    await config.wait("delete", timeout=10)
    await pod.delete()
    assert (await client.version())["major"] == "1"


def test_lightkube_creates_applies_patches_watches_and_deletes(cluster: Cluster, namespace: str, widgets: None):
    config = lightkube.KubeConfig.from_file(str(cluster.kubeconfig))
    client = lightkube.Client(config=config, namespace=namespace, field_manager="lightkube")
    service = Service(
        metadata=ObjectMeta(name="s"), spec=ServiceSpec(ports=[ServicePort(port=80)], selector={"a": "b"})
    )
    assert client.create(service).spec.clusterIP
    config_map = ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="c"), data={"a": "b"})
    assert client.apply(config_map).data == {"a": "b"}
    patched = client.patch(ConfigMap, "c", {"data": {"c": "d"}}, patch_type=PatchType.MERGE)
    assert patched.data == {"a": "b", "c": "d"}
    seen = []
    for change, obj in client.watch(ConfigMap, fields={"metadata.name": "c"}):
        seen.append((change, obj.metadata.name))
        if change == "DELETED":
            break
        client.delete(ConfigMap, "c")
    assert seen == [("ADDED", "c"), ("DELETED", "c")]
    widget = create_namespaced_resource("clients.example.com", "v1", "Widget", "widgets")
    client.create(widget(metadata=ObjectMeta(name="w"), spec={"size": 3}))
    assert [one.spec["size"] for one in client.list(widget)] == [3]
    client.delete(widget, "w")
    with pytest.raises(LightkubeError) as refused:
        client.get(widget, "w")
    assert refused.value.status.reason == "NotFound"


OPERATOR = """
    import kopf

    @kopf.on.create("clients.example.com", "v1", "widgets")
    def made(spec, patch, **_):
        patch.status["doubled"] = spec.get("size", 0) * 2
        return {"size": spec.get("size", 0)}

    @kopf.on.update("clients.example.com", "v1", "widgets", field="spec.size")
    def changed(old, new, patch, **_):
        patch.status["moved"] = f"{old}->{new}"

    @kopf.on.delete("clients.example.com", "v1", "widgets")
    def gone(name, logger, **_):
        logger.info(f"farewell {name}")
"""


@pytest.fixture
def operator(cluster: Cluster, namespace: str, tmp_path: Path, widgets: None) -> Iterator[Path]:
    """A kopf operator that runs; yields its log."""
    program, log = tmp_path / "operator.py", tmp_path / "operator.log"
    program.write_text(textwrap.dedent(OPERATOR))
    process = subprocess.Popen(
        [sys.executable, "-m", "kopf", "run", "--namespace", namespace, "--standalone", str(program)],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(tmp_path)},
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )
    yield log
    process.terminate()
    process.wait(timeout=20)


def test_a_kopf_operator_sees_its_objects_come_change_and_go(cluster: Cluster, operator: Path):
    def status(field: str) -> str:
        return cluster.run("get", "widget", "k", "-o", f"jsonpath={{.status.{field}}}").stdout

    body = "apiVersion: clients.example.com/v1\nkind: Widget\nmetadata: {name: k}\nspec: {size: 4}\n"
    cluster.kubectl("apply", "-f", "-", stdin=body)
    cluster.wait(lambda: status("doubled") == "8")
    assert "kopf" in cluster.kubectl("get", "widget", "k", "-o", "jsonpath={.metadata.finalizers}")
    cluster.kubectl("patch", "widget", "k", "--type=merge", "-p", '{"spec":{"size":5}}')
    cluster.wait(lambda: status("moved") == "4->5")
    cluster.kubectl("delete", "widget", "k", "--timeout=20s")
    assert "farewell k" in operator.read_text()
