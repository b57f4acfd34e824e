"""Namespaces, nodes and component statuses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.core_v1 import Binding, ComponentStatus, Namespace, Node
from minikube.resources.declare import NONE, REVIEW, UNKNOWN, columns, declare, joined, since
from minikube.resources.rules.cluster import NamespaceRules, NodeRules

_ROLE_PREFIX, _ROLE = "node-role.kubernetes.io/", "kubernetes.io/role"


def namespace_row(namespace: Namespace, now: datetime) -> Sequence[Any]:
    return namespace.metadata.name, namespace.status.phase, since(namespace, now)


def _status(node: Node) -> str:
    ready = next((one for one in node.status.conditions if one.type == "Ready"), None)
    words = ["Unknown"] if ready is None else ["Ready" if ready.status == "True" else "NotReady"]
    return ",".join([*words, "SchedulingDisabled"] if node.spec.unschedulable else words)


def _roles(node: Node) -> str:
    roles = {key.removeprefix(_ROLE_PREFIX) for key in node.metadata.labels if key.startswith(_ROLE_PREFIX)}
    if named := node.metadata.labels.get(_ROLE):
        roles.add(named)
    return joined(sorted(roles - {""}))


def _address(node: Node, type: str) -> str:
    return next((one.address for one in node.status.addresses if one.type == type), NONE)


def node_row(node: Node, now: datetime) -> Sequence[Any]:
    info = node.status.node_info
    return (
        node.metadata.name,
        _status(node),
        _roles(node),
        since(node, now),
        info.kubelet_version if info else "",
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        (info.os_image if info else "") or UNKNOWN,
        (info.kernel_version if info else "") or UNKNOWN,
        (info.container_runtime_version if info else "") or UNKNOWN,
    )


def component_row(component: ComponentStatus, now: datetime) -> Sequence[Any]:
    for condition in component.conditions:
        if condition.type == "Healthy":
            status = "Healthy" if condition.status == "True" else "Unhealthy"
            return component.metadata.name, status, condition.message, condition.error
    return component.metadata.name, "Unknown", "", ""


KINDS = (
    declare(
        Namespace,
        strategy=NamespaceRules(),
        short_names=("ns",),
        status=True,
        subresources=("finalize",),
        columns=columns("Name", "Status", "Age"),
        row=namespace_row,
    ),
    declare(
        Node,
        strategy=NodeRules(),
        short_names=("no",),
        status=True,
        subresources=("proxy",),
        columns=columns(
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "+Internal-IP",
            "+External-IP",
            "+OS-Image",
            "+Kernel-Version",
            "+Container-Runtime",
        ),
        row=node_row,
    ),
    declare(
        ComponentStatus,
        deprecated="v1 ComponentStatus is deprecated in v1.19+",
        short_names=("cs",),
        verbs=("get", "list"),
        columns=columns("Name", "Status", "Message", "Error"),
        row=component_row,
    ),
    declare(Binding, verbs=REVIEW),
)
