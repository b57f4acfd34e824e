"""Five hundred pods come and go on one node as fast as it takes them; afterwards nothing of them is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minikube.node.host.cgroups import Cgroups
from tests.machines import Machine, Network

pytestmark = [pytest.mark.node, pytest.mark.timeout(2400)]

JOB, LIVING, WAVES = 300, 40, 5
STORM = """
apiVersion: batch/v1
kind: Job
metadata: {{name: ends}}
spec:
  completions: {job}
  parallelism: 50
  completionMode: Indexed
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: busybox:test
        command:
        - sh
        - -c
        - |
          mkdir /shared/running-$HOSTNAME || touch /shared/twice-$HOSTNAME
          date > /shared/done-$JOB_COMPLETION_INDEX
          rmdir /shared/running-$HOSTNAME
        volumeMounts: [{{name: shared, mountPath: /shared}}, {{name: own, mountPath: /own}}]
      volumes:
      - {{name: shared, hostPath: {{path: {shared}, type: DirectoryOrCreate}}}}
      - {{name: own, emptyDir: {{medium: Memory}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: lives}}
spec:
  replicas: {living}
  selector: {{matchLabels: {{app: lives}}}}
  template:
    metadata: {{labels: {{app: lives}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: busybox:test
        command:
        - sh
        - -c
        - mkdir /shared/running-$HOSTNAME || touch /shared/twice-$HOSTNAME; exec sleep 3600
        volumeMounts: [{{name: shared, mountPath: /shared}}]
      volumes: [{{name: shared, hostPath: {{path: {shared}}}}}]
"""


def left(machine: Machine, before: dict[str, object]) -> list[str]:
    """What pods left: containers, directories, logs, mounts, interfaces, namespaces, control groups, addresses."""
    ctr = ("ctr", "--address", str(machine.root / "run/containerd/containerd.sock"), "--namespace", "k8s.io")
    found = [f"container {line}" for line in machine.run(*ctr, "containers", "ls", "-q").stdout.split()]
    found += [f"task {line}" for line in machine.run(*ctr, "tasks", "ls", "-q").stdout.split()]
    found += [f"directory {path}" for path in (machine.root / "data/agent/pods").glob("*")]
    found += [f"log {path}" for path in (machine.root / "logs").glob("*")]
    now = measured(machine)
    found += [f"{name}: {before[name]} -> {now[name]}" for name in before if now[name] != before[name]]
    return found


def measured(machine: Machine) -> dict[str, object]:
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    links = machine.run("ip", "-o", "link").stdout.splitlines()
    return {
        "mounts": sum(f" {machine.root}/" in line for line in mounts),
        "interfaces": sum(" veth" in line for line in links),
        "control groups": dict(Cgroups(machine.cgroup).pods()),
        "addresses": json.loads((machine.root / "data/agent/network.json").read_text())["attachments"],
        "shims": sum(f"{machine.root}/run" in line for line in _commands() if "containerd-shim" in line),
    }


def _commands() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(entry.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_five_hundred_pods_leave_nothing_and_none_runs_twice(network: Network) -> None:
    machine = network.machine()
    machine.serve("--max-pods", "110")
    shared = machine.root / "shared"
    shared.mkdir()
    machine.kubectl("run", "first", "--image=busybox:test", "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/first", "--timeout=30s")
    machine.kubectl("delete", "pod", "first", "--grace-period=0", "--force")
    machine.wait(lambda: not list((machine.root / "data/agent/pods").glob("*")))
    before = measured(machine)
    machine.kubectl("apply", "-f", "-", stdin=STORM.format(job=JOB, living=LIVING, shared=shared))
    for _ in range(WAVES):
        machine.kubectl("rollout", "status", "deployment/lives", "--timeout=600s", timeout=620)
        machine.kubectl("delete", "pods", "-l", "app=lives", "--wait=false", timeout=120)
    machine.kubectl("wait", "--for=condition=Complete", "job/ends", "--timeout=1800s", timeout=1820)
    assert len(list(shared.glob("done-*"))) == JOB
    machine.kubectl("delete", "deployment,job", "--all", "--timeout=400s", timeout=420)
    machine.wait(lambda: not machine.kubectl("get", "pods", "-o", "name"), 400)
    assert not list(shared.glob("twice-*"))
    machine.wait(lambda: not left(machine, before), 60)
