"""node/configmap, node/secrets, node/downward-api: what they put into a container's environment, and their API."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.api.raw import JSON
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod

pytestmark = pytest.mark.conformance

STRATEGIC = "application/strategic-merge-patch+json"


def environment(space: Space, made: Obj, **fields: Any) -> dict[str, str]:
    """What a container sees that has these fields."""
    made["spec"]["containers"][0] |= {"command": ["env"], **fields}
    return dict(line.split("=", 1) for line in space.output(made).splitlines())


def labelled(kind: str, name: str, **fields: Any) -> Obj:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": {"test": "static"}}, **fields}


@row(
    "ConfigMap should be consumable via environment variable",
    "ConfigMap should be consumable via the environment",
)
def test_a_config_map_in_the_environment(space: Space):
    space.create(labelled("ConfigMap", "config", data={"data-1": "value-1", "data_2": "value 2"}))
    key = {"name": "CONFIG_DATA_1", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "data-1"}}}
    sources = [{"configMapRef": {"name": "config"}}, {"prefix": "p-", "configMapRef": {"name": "config"}}]
    found = environment(space, pod(), env=[key], envFrom=sources)
    assert found["CONFIG_DATA_1"] == "value-1"
    assert (found["data-1"], found["data_2"]) == (found["p-data-1"], found["p-data_2"]) == ("value-1", "value 2")


@row(
    "Secrets should be consumable from pods in env vars",
    "Secrets should be consumable via the environment",
)
def test_a_secret_in_the_environment(space: Space):
    space.create(labelled("Secret", "secret", stringData={"data-1": "value-1"}))
    key = {"name": "SECRET_DATA", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "data-1"}}}
    sources = [{"secretRef": {"name": "secret"}}, {"prefix": "p_", "secretRef": {"name": "secret"}}]
    found = environment(space, pod(), env=[key], envFrom=sources)
    assert (found["SECRET_DATA"], found["data-1"], found["p_data-1"]) == ("value-1", "value-1", "value-1")


@row(
    "ConfigMap should fail to create ConfigMap with empty key",
    "Secrets should fail to create secret due to empty secret key",
)
@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_an_empty_key_is_refused(space: Space, kind: str):
    answer = space.ask("POST", f"v1/{kind}", body=labelled(kind, "empty", data={"": "dmFsdWU="}))
    assert "a valid config key must consist of" in answer.refused(422, "Invalid")


@row("ConfigMap should run through a ConfigMap lifecycle", "Secrets should patch a secret")
@pytest.mark.parametrize(("kind", "value"), [("ConfigMap", "value"), ("Secret", "dmFsdWU=")])
def test_the_life_of_a_config_map_and_of_a_secret(space: Space, kind: str, value: str):
    space.create(labelled(kind, "found", data={"key": value}))
    path = space.path(f"v1/{kind}", watch=1, labelSelector="test=static", timeoutSeconds=1)
    added = space.http.events(path)
    assert [each["type"] for each in added] == ["ADDED"]
    changed = base64.b64encode(b"changed").decode()
    patch = {"metadata": {"labels": {"patched": "true"}}, "data": {"key": changed}}
    space.patch(f"v1/{kind}", "found", patch, type=STRATEGIC)
    found = space.get(f"v1/{kind}", "found")
    assert (found["metadata"]["labels"], found["data"]) == ({"test": "static", "patched": "true"}, {"key": changed})
    everywhere = space.http.get(f"/api/v1/{kind.lower()}s?labelSelector=test%3Dstatic,patched").ok()["items"]
    assert [each["data"] for each in everywhere if each["metadata"]["namespace"] == space.name] == [
        {"key": changed}
    ]
    space.ask("DELETE", f"v1/{kind}", query={"labelSelector": "test=static"}, type=JSON).ok()
    assert space.list(f"v1/{kind}", labelSelector="test=static") == []


def field(name: str, path: str) -> Obj:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


@row(
    "Downward API should provide pod name, namespace and IP address as env vars",
    "Downward API should provide host IP as an env var",
    "Downward API should provide pod UID as env vars",
)
def test_a_pod_learns_about_itself(space: Space):
    fields = {
        "NAME": "metadata.name",
        "NAMESPACE": "metadata.namespace",
        "UID": "metadata.uid",
        "IP": "status.podIP",
        "IPS": "status.podIPs",
        "HOST": "status.hostIP",
        "HOSTS": "status.hostIPs",
        "NODE": "spec.nodeName",
        "ACCOUNT": "spec.serviceAccountName",
        "LABEL": "metadata.labels['a']",
    }
    made = pod()
    made["metadata"]["labels"] = {"a": "b"}
    found = environment(space, made, env=[field(name, path) for name, path in fields.items()])
    status = (now := space.get("v1/Pod", "pod"))["status"]
    host = space.site.nodes[now["spec"]["nodeName"]]
    assert {name: found[name] for name in fields} == {
        "NAME": "pod",
        "NAMESPACE": space.name,
        "UID": now["metadata"]["uid"],
        "IP": status["podIP"],
        "IPS": status["podIP"],
        "HOST": host,
        "HOSTS": host,
        "NODE": now["spec"]["nodeName"],
        "ACCOUNT": "default",
        "LABEL": "b",
    }


def resource(name: str, resource: str, divisor: str = "") -> Obj:
    what = {"resource": resource, **({"divisor": divisor} if divisor else {})}
    return {"name": name, "valueFrom": {"resourceFieldRef": what}}


@row("Downward API should provide container's limits.cpu/memory and requests.cpu/memory as env vars")
def test_a_container_learns_its_resources(space: Space):
    asked = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}
    variables = [
        resource("CPU_LIMIT", "limits.cpu"),
        resource("MEMORY_LIMIT", "limits.memory"),
        resource("CPU_REQUEST", "requests.cpu", "1m"),
        resource("MEMORY_REQUEST", "requests.memory", "1Mi"),
    ]
    found = environment(space, pod(), env=variables, resources=asked)
    assert (found["CPU_LIMIT"], found["MEMORY_LIMIT"]) == ("2", "67108864")
    assert (found["CPU_REQUEST"], found["MEMORY_REQUEST"]) == ("250", "32")


@row("Downward API should provide default limits.cpu/memory from node allocatable")
def test_without_limits_the_node_is_the_limit(space: Space):
    made = pod()
    found = environment(
        space, made, env=[resource("CPU", "limits.cpu"), resource("MEMORY", "limits.memory", "1Ki")]
    )
    node = space.get("v1/Node", space.get("v1/Pod", "pod")["spec"]["nodeName"])["status"]["allocatable"]
    assert (found["CPU"], found["MEMORY"]) == (node["cpu"], node["memory"].removesuffix("Ki"))
