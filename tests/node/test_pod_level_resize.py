"""A pod with resources of its own is resized as it runs: its control group, and what the API says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.machines import Machine
from tests.node.pods import STILL, Namespace, pod

pytestmark = pytest.mark.node

LONG = 90


def memory_limit(machine: Machine, uid: str) -> int:
    """Of the pod's control group, of either version."""
    tier = f"{machine.cgroup.lstrip('/')}/burstable/pod{uid}"
    unified = Path("/sys/fs/cgroup") / tier / "memory.max"
    file = unified if unified.exists() else Path("/sys/fs/cgroup/memory") / tier / "memory.limit_in_bytes"
    return int(file.read_text())


def test_a_whole_pod_gets_more_and_keeps_running(machine: Machine, ns: Namespace) -> None:
    def resources(memory: str) -> dict[str, Any]:
        return {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": memory}}

    ns.apply(pod("p", STILL, resources=resources("64Mi")))
    ns.kubectl("wait", "--for=condition=Ready", "pod/p", f"--timeout={LONG // 2}s")
    uid = ns.get("pod", "p")["metadata"]["uid"]
    assert memory_limit(machine, uid) == 64 << 20
    assert ns.get("pod", "p")["status"]["resources"] == resources("64Mi")
    patch = json.dumps({"spec": {"resources": resources("128Mi")}})
    ns.kubectl("patch", "pod", "p", "--subresource=resize", "-p", patch)
    machine.wait(lambda: ns.get("pod", "p")["status"]["resources"] == resources("128Mi"), LONG)
    assert memory_limit(machine, uid) == 128 << 20
    status = ns.get("pod", "p")["status"]
    assert status["allocatedResources"] == resources("128Mi")["requests"]
    assert [each["restartCount"] for each in status["containerStatuses"]] == [0]
    huge = json.dumps({"spec": {"resources": {"requests": {"memory": "999Gi"}, "limits": {"memory": "999Gi"}}}})
    ns.kubectl("patch", "pod", "p", "--subresource=resize", "-p", huge)
    machine.wait(lambda: "Infeasible" in ns.kubectl("get", "pod", "p", "-o", "jsonpath={.status.conditions}"), LONG)
    assert ns.get("pod", "p")["status"]["resources"] == resources("128Mi")
