"""Builders of nodes and pods for the scheduler's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from minikube.api.core_v1 import (
    Container,
    ContainerPort,
    Node,
    NodeSpec,
    NodeStatus,
    Pod,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Taint,
)
from minikube.api.meta import ObjectMeta
from minikube.scheduler.cache import Cache
from minikube.scheduler.framework import Cycle
from minikube.scheduler.plugins import PLUGINS

PLUGIN_SET = [plugin() for plugin in PLUGINS]


def node(name: str, cpu: str = "4", labels: Mapping[str, str] | None = None, **more: Any) -> Node:
    """`more`: taints, unschedulable, and further resources as `extra`."""
    extra = more.pop("extra", {})
    amounts = {"cpu": cpu, "memory": "8Gi", "pods": "110", **extra}
    return Node(
        metadata=ObjectMeta(name=name, uid=name, labels={"kubernetes.io/hostname": name, **(labels or {})}),
        spec=NodeSpec(**more),
        status=NodeStatus(allocatable=amounts, capacity=amounts),
    )


def taint(key: str, effect: str = "NoSchedule", value: str = "") -> Taint:
    return Taint(key=key, effect=effect, value=value)


def pod(
    name: str,
    on: str = "",
    *,
    cpu: str = "",
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    port: int = 0,
    nominated: str = "",
    **spec: Any,
) -> Pod:
    """`on`: the node that it has."""
    requests = {"cpu": cpu} if cpu else {}
    ports = (ContainerPort(container_port=80, host_port=port),) if port else ()
    container = Container(name="c", image="nginx", resources=ResourceRequirements(requests=requests), ports=ports)
    made = PodSpec(containers=(container,), node_name=on, priority=priority)
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", uid=name, labels=labels or {}),
        spec=msgspec.structs.replace(made, **spec),
        status=PodStatus(phase="Running" if on else "Pending", nominated_node_name=nominated),
    )


def cycle(nodes: Sequence[Node], pods: Sequence[Pod] = (), **more: Any) -> Cycle:
    cache = Cache()
    for one in nodes:
        cache.set_node(one)
    for other in pods:
        cache.set_pod(other)
    return Cycle(nodes=cache.nodes(), **more)
