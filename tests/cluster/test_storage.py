"""Volumes of two machines: each keeps its own, pods go back to where theirs is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.machines import Network
from tests.node.pods import STILL, Namespace, pod

pytestmark = pytest.mark.node


def claim(name: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def writer(name: str, of: str, **spec: Any) -> dict[str, Any]:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": of}}
    mount = {"name": "data", "mountPath": "/data"}
    return pod(name, f"echo {name} >> /data/f; {STILL}", volumes=[volume], mounts=[mount], **spec)


def test_a_pod_goes_where_its_volume_is_and_its_machine_removes_it(network: Network) -> None:
    server, agent = network.machine("a"), network.machine("b")
    server.serve()
    agent.join(server)
    server.wait(lambda: server.ready(agent.name), 40)
    ns = Namespace(server, "t")
    ns.apply(claim("there"), writer("first", "there", nodeSelector={"kubernetes.io/hostname": agent.name}))
    ns.running("first")
    name = ns.get("pvc", "there")["spec"]["volumeName"]
    directory = Path(json.loads(server.kubectl("get", "pv", name, "-o", "json"))["spec"]["local"]["path"])
    assert directory.parent == agent.root / "data/agent/storage"
    ns.kubectl("delete", "pod", "first")
    server.kubectl("cordon", agent.name)
    ns.apply(writer("second", "there"))
    why = "didn't match PersistentVolume's node affinity"
    server.wait(lambda: any(why in message for _, message in ns.events("second")))
    server.kubectl("uncordon", agent.name)
    ns.running("second")
    assert (directory / "f").read_text() == "first\nsecond\n"
    ns.kubectl("delete", "pod/second", "pvc/there")
    server.wait(lambda: name not in server.kubectl("get", "pv", "-o", "name"))
    assert not directory.exists()


def test_pods_that_are_deleted_while_their_node_is_down_leave_no_mounts_and_all_data(network: Network) -> None:
    """Gracefully or by force; sub paths of a claim are unmounted, and the claim's files are not touched."""
    server, agent = network.machine("a"), network.machine("b")
    server.serve()
    agent.join(server)
    ns = Namespace(server, "t")
    parts = [
        {"name": "data", "mountPath": "/part", "subPath": "part"},
        {"name": "data", "mountPath": "/file", "subPath": "f"},
        {"name": "memory", "mountPath": "/memory", "subPath": "part"},
    ]
    claims = [{"name": "data", "persistentVolumeClaim": {"claimName": "there"}}]
    memory = [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    ns.apply(claim("there"), writer("first", "there", nodeSelector={"kubernetes.io/hostname": agent.name}))
    ns.running("first")
    for name in ("graceful", "forced"):
        ns.apply(pod(name, f"echo {name} > /part/{name}; {STILL}", volumes=claims + memory, mounts=parts))
    ns.running("graceful", "forced")
    directories = [
        agent.root / "data/agent/pods" / ns.get("pod", name)["metadata"]["uid"] for name in ("graceful", "forced")
    ]
    volume = ns.get("pvc", "there")["spec"]["volumeName"]
    data = Path(json.loads(server.kubectl("get", "pv", volume, "-o", "json"))["spec"]["local"]["path"])
    agent.kill()
    ns.kubectl("delete", "pod", "graceful", "--wait=false")
    ns.kubectl("delete", "pod", "forced", "--force", "--grace-period=0")
    assert all(each.exists() for each in directories)
    agent.start("agent")
    server.wait(lambda: not any(each.exists() for each in directories), 60)
    mounts = Path("/proc/mounts").read_text()
    assert not [each for each in directories if str(each) in mounts]
    server.wait(lambda: "graceful" not in ns.kubectl("get", "pods", "-o", "name"))
    assert (data / "f").read_text() == "first\n"
    assert {each.name for each in (data / "part").iterdir()} == {"graceful", "forced"}
    ns.running("first")
