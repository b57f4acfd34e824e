"""What a node writes of its status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from minikube.api.core_v1 import NodeStatus
from minikube.node.node_status import Machine, difference, node_status
from minikube.node.runtime.base import RuntimeInfo
from minikube.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_only_what_changed_is_written_and_what_is_gone_is_taken_away():
    old = {
        "capacity": {"cpu": "2", "example.com/gpu": "1"},
        "allocatable": {"cpu": "2", "example.com/gpu": "1", "example.com/gone": "3"},
        "nodeInfo": {"bootID": "a"},
        "conditions": [{"type": "Ready", "status": "False"}],
    }
    new = {
        "capacity": {"cpu": "4", "example.com/gpu": "1"},
        "allocatable": {"cpu": "4", "example.com/gpu": "1"},
        "nodeInfo": {"bootID": "a"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    assert difference(old, new) == {
        "capacity": {"cpu": "4"},
        "allocatable": {"cpu": "4", "example.com/gone": None},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    assert difference(new, new) == {}
    assert difference({}, {"images": []}) == {"images": []}


def test_a_node_that_cannot_run_pods_is_not_ready_and_says_why():
    info = RuntimeInfo(name="containerd", version="2.1.0", ready=True)

    def ready(info: RuntimeInfo | None, **more: Any) -> tuple[str, str, str]:
        status = node_status(NodeStatus(), Machine(), info, (), Settings(), "a", ("10.0.0.1",), NOW, **more)
        (found,) = (each for each in status.conditions if each.type == "Ready")
        return found.status, found.reason, found.message

    assert ready(info) == ("True", "KubeletReady", "kubelet is posting ready status")
    trouble = "pods cannot be run: read-only file system"
    assert ready(info, trouble=trouble) == ("False", "KubeletNotReady", trouble)
    assert ready(None, trouble=trouble)[2] == f"[container runtime is down, {trouble}]"
