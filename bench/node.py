"""A server with real containers: start to Ready, a pod to Running, and what the machine costs at rest.

Needs root and what tools/test-deps.sh installs.
"""

from __future__ import annotations

import json
import os
import statistics
import time

from tests.machines import Machine, Network
from tests.usage import burnt, resident, written

REST_SECONDS = 60
PODS = 8


async def run() -> None:
    if os.getuid() != 0:
        print("node: skipped, it needs root")
        return
    with Network(f"b{os.getpid()}") as network:
        machine = network.machine()
        for label in ("first start", "start with containerd running"):
            began = time.perf_counter()
            machine.serve()
            print(f"node: {label} to Ready {time.perf_counter() - began:.2f} s")
            if label == "first start":
                machine.stop()
        _pods(machine)
        time.sleep(15)  # what the pods left to do
        _rest(machine)


def _pods(machine: Machine) -> None:
    times = []
    for number in range(PODS):
        name = f"p{number}"
        container = {"name": "c", "image": "busybox:test", "command": ["sleep", "3600"]}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        manifest = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        began = time.perf_counter()
        machine.kubectl("apply", "-f", "-", stdin=manifest)
        machine.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Running", "--timeout=30s")
        times.append(time.perf_counter() - began)
    median = statistics.median(times)
    print(f"node: kubectl apply of a pod to Running {median:.2f} s (median of {PODS}, with two kubectl)")


def _rest(machine: Machine) -> None:
    """Of the server and its containerd, over a minute in which nothing changes."""
    assert machine.process is not None
    containerd = int((machine.root / "run/containerd/pid").read_text())
    pids = {"server": machine.process.pid, "containerd": containerd}
    before = {name: (burnt(pid), written(pid)) for name, pid in pids.items()}
    time.sleep(REST_SECONDS)
    for name, pid in pids.items():
        share = (burnt(pid) - before[name][0]) / REST_SECONDS
        print(
            f"node: {name} at rest with {PODS} pods: RSS {resident(pid)} MB, {share:.2%} of a core, "
            f"{written(pid) - before[name][1]} bytes written in {REST_SECONDS} s"
        )
