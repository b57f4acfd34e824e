"""What uninstall leaves of a machine: everything that was there before, and nothing of ours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.machines import Machine, Network

pytestmark = pytest.mark.node

MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - name: web
    image: busybox:test
    command: [sh, -c, "mkdir /tmp/w; cd /tmp/w; hostname > index.html; exec httpd -f -p 8080"]
    ports: [{containerPort: 8080, hostPort: 18080}]
    resources: {requests: {cpu: 10m, memory: 8Mi}}
    volumeMounts: [{name: cache, mountPath: /cache}, {name: disk, mountPath: /disk}]
  volumes:
  - {name: cache, emptyDir: {medium: Memory}}
  - {name: disk, emptyDir: {}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}], sessionAffinity: ClientIP}
"""


def trace(machine: Machine) -> dict[str, object]:
    """What a person would look at to see whether something was left behind."""

    def out(*command: str) -> list[str]:
        return machine.run(*command).stdout.splitlines()

    return {
        "links": out("ip", "-o", "-br", "link"),
        "addresses": out("ip", "-o", "-4", "addr"),
        "routes": out("ip", "-4", "route", "show", "table", "all"),
        "rules": out("ip", "rule"),
        "neighbours": [line for line in out("ip", "neigh") if "PERMANENT" in line],
        "nftables": out("nft", "list", "ruleset"),
        "sysctls": out("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.all.route_localnet"),
        "mounts": [
            line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{machine.root}" in line
        ],
        "processes": sorted(set(machine.processes()) - {os.getpid()}),
        "cgroups": [str(found) for found in Path("/sys/fs/cgroup").glob(f"*{machine.cgroup}")],
        "files": sorted(each.name for each in machine.root.iterdir() if each.name not in ("minikube.log", ".kube")),
    }


def running(machine: Machine) -> None:
    machine.serve()
    machine.kubectl("apply", "-f", "-", stdin=MANIFEST)
    machine.kubectl(
        "run", "host", "--image=busybox:test", "--overrides", '{"spec":{"hostNetwork":true}}', "--", "sleep", "600"
    )
    machine.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/host", "--timeout=30s")


@pytest.mark.parametrize("how", ["while it runs", "after everything was killed", "after a reboot"])
def test_uninstall_leaves_the_machine_as_it_was(network: Network, how: str) -> None:
    machine = network.machine()
    before = trace(machine)
    running(machine)
    assert trace(machine) != before
    attachments = json.loads((machine.root / "data/agent/network.json").read_text())["attachments"].values()
    namespaces = [Path(found["netns"]) for found in attachments]
    sockets = [Path(found.read_text().removeprefix("unix://")) for found in machine.root.glob("run/**/address")]
    assert all(path.exists() for path in (*namespaces, *sockets))
    if how == "after everything was killed":
        machine.kill()
        machine.run("sh", "-c", 'kill -9 "$(cat "$MINIKUBE_RUN_DIR/containerd/pid")"')
    elif how == "after a reboot":
        machine.power_off()
    machine.minikube("uninstall")
    assert trace(machine) == before
    assert not [path for path in (*namespaces, *sockets) if path.exists()]
    assert (machine.root / "data/server/state.db").exists()
    assert (machine.root / "data/agent/images/busybox.tar").exists()
    machine.minikube("uninstall", "--data")
    assert not (machine.root / "data").exists()


def test_pods_come_back_when_it_is_installed_again(network: Network) -> None:
    machine = network.machine()
    running(machine)
    machine.minikube("uninstall")
    machine.serve()
    machine.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
    machine.wait(
        lambda: machine.run("busybox", "wget", "-qO-", f"http://{machine.address}:18080").stdout == "web\n"
    )
