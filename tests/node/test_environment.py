"""Environments from ConfigMaps, Secrets and the downward API (node/configmap, secrets, downward-api)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.node.pods import Namespace, config_map, pod, secret

pytestmark = pytest.mark.node


def from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def from_resource(name: str, resource: str, divisor: str = "1") -> dict[str, Any]:
    return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}


def with_environment(name: str, *env: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = pod(name, "env | grep ^T_ | sort")
    made["spec"]["containers"][0]["env"] += env
    made["spec"]["containers"][0].update(more)
    return made


def test_values_come_from_maps_secrets_and_the_pod_itself(ns: Namespace) -> None:
    fields = [
        from_field("T_NAME", "metadata.name"),
        from_field("T_NAMESPACE", "metadata.namespace"),
        from_field("T_UID", "metadata.uid"),
        from_field("T_IP", "status.podIP"),
        from_field("T_HOST_IP", "status.hostIP"),
        from_field("T_NODE", "spec.nodeName"),
        {"name": "T_MAP", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        {"name": "T_SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "T_NONE", "valueFrom": {"secretKeyRef": {"name": "nobody", "key": "k", "optional": True}}},
        {"name": "T_BOTH", "value": "$(T_MAP)+$(T_SECRET)+$$(T_MAP)+$(T_NOBODY)"},
    ]
    sources = [
        {"prefix": "T_C_", "configMapRef": {"name": "c"}},
        {"prefix": "T_S_", "secretRef": {"name": "s"}},
        {"prefix": "T_X_", "configMapRef": {"name": "nobody", "optional": True}},
    ]
    ns.apply(config_map("c", {"k": "map"}), secret("s", {"k": "hidden"}))
    ns.apply(with_environment("told", *fields, envFrom=sources))
    shown = dict(line.split("=", 1) for line in ns.output("told").splitlines())
    found = ns.get("pod", "told")
    assert shown == {
        "T_NAME": "told",
        "T_NAMESPACE": ns.name,
        "T_UID": found["metadata"]["uid"],
        "T_IP": found["status"]["podIP"],
        "T_HOST_IP": ns.machine.address,
        "T_NODE": ns.machine.name,
        "T_MAP": "map",
        "T_SECRET": "hidden",
        "T_BOTH": "map+hidden+$(T_MAP)+$(T_NOBODY)",
        "T_C_k": "map",
        "T_S_k": "hidden",
    }


def test_resources_are_the_containers_own_or_what_the_node_has(ns: Namespace) -> None:
    asked = [
        from_resource("T_CPU", "limits.cpu"),
        from_resource("T_MILLI", "requests.cpu", "1m"),
        from_resource("T_MEMORY", "limits.memory"),
        from_resource("T_MI", "requests.memory", "1Mi"),
    ]
    resources = {"limits": {"cpu": "1250m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}
    ns.apply(with_environment("limited", *asked, resources=resources), with_environment("unlimited", *asked))
    assert ns.output("limited") == f"T_CPU=2\nT_MEMORY={64 << 20}\nT_MI=32\nT_MILLI=250\n"
    node = json.loads(ns.machine.kubectl("get", "node", ns.machine.name, "-o", "json"))["status"]["allocatable"]
    memory = int(node["memory"].removesuffix("Ki")) << 10
    assert ns.output("unlimited") == f"T_CPU={node['cpu']}\nT_MEMORY={memory}\nT_MI=0\nT_MILLI=0\n"
