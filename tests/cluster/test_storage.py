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
