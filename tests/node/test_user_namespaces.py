"""Pods with users of their own: they run where the runtime has user namespaces (containerd 2.0, runc 1.2), and say
why they do not where it has none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.machines import Machine, sh
from tests.node.pods import STILL, Namespace, pod

pytestmark = pytest.mark.node
REFUSED = "can't set `spec.hostUsers: false`, runtime does not support user namespaces"
SCRIPT = f"cat /proc/self/uid_map; touch /disk/mine /memory/mine; stat -c %u:%g /disk/mine /memory/mine; {STILL}"


@pytest.fixture
def able(machine: Machine) -> bool:
    """What the node says of its default handler; a runtime before 2.0 says nothing of any."""
    [node] = json.loads(machine.kubectl("get", "nodes", "-o", "json"))["items"]
    old = node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://1.")
    handlers: list[Any] = node["status"].get("runtimeHandlers", [])
    assert old == (not handlers)
    return any(each["features"]["userNamespaces"] for each in handlers if not each.get("name"))


def test_root_in_a_pod_with_users_of_its_own_is_nobody_on_the_host(ns: Namespace, able: bool) -> None:
    volumes = [{"name": "disk", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}}]
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes]
    own = pod("own", SCRIPT, volumes=volumes, mounts=mounts, hostUsers=False, securityContext={"fsGroup": 2000})
    ns.apply(own, pod("other", STILL, hostUsers=False))
    if not able:
        ns.told("own", "FailedCreatePodSandBox", REFUSED)
        return
    ns.running("own", "other")
    ns.machine.wait(lambda: len(ns.kubectl("logs", "own").split()) == 5)
    inside, first, length, *owners = ns.kubectl("logs", "own").split()
    assert (inside, length, owners) == ("0", "65536", ["0:2000", "0:2000"])
    assert int(first) >= 65536
    assert ns.kubectl("exec", "own", "--", "cat", "/proc/self/uid_map").split() == [inside, first, length]
    assert ns.kubectl("exec", "other", "--", "cat", "/proc/self/uid_map").split()[1] != first
    uid = ns.get("pod", "own")["metadata"]["uid"]
    processes = sh("ps", "-eo", "uid,pid").stdout.split("\n")[1:]
    marked = [line.split() for line in processes if line and _runs_in(uid, line.split()[1])]
    assert {each[0] for each in marked} == {first}
    ns.kubectl("delete", "pod", "own")
    ns.machine.wait(lambda: not (ns.machine.root / "data/agent/pods" / uid).exists())


def _runs_in(pod_uid: str, pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"POD_UID={pod_uid}".encode() in file.read()
    except OSError:
        return False
