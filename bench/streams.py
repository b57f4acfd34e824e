"""Streams to a real container: the time of a command, copies both ways and a long log, with the real kubectl.

Needs root and what tools/test-deps.sh installs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable

from tests.machines import KUBECTL, Machine, Network

MEGABYTES = 1000
COMMANDS = 10
LINE = 100
POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  containers:
  - {{name: c, image: "busybox:test", command: [sleep, "3600"]}}
  - name: talker
    image: busybox:test
    command: [sh, -c, "yes {"x" * (LINE - 1)} | head -c {MEGABYTES}000000; sleep 3600"]
"""


async def run() -> None:
    if os.getuid() != 0:
        print("streams: skipped, it needs root")
        return
    with Network(f"t{os.getpid()}") as network:
        machine = network.machine(container_log_max_size="4Gi")
        machine.serve()
        machine.kubectl("apply", "-f", "-", stdin=POD)
        machine.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
        _commands(machine)
        _copies(machine)
        _log(machine)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _commands(machine: Machine) -> None:
    for websockets in ("true", "false"):
        machine.variables["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = websockets
        times = [_timed(lambda: machine.kubectl("exec", "p", "-c", "c", "--", "true")) for _ in range(COMMANDS)]
        protocol = "WebSocket" if websockets == "true" else "SPDY"
        print(f"streams: kubectl exec true {statistics.median(times) * 1000:.0f} ms ({protocol}, median)")


def _copies(machine: Machine) -> None:
    file = machine.root / "big"
    with file.open("wb") as out:
        for _ in range(MEGABYTES):
            out.write(os.urandom(1_000_000))
    up = _timed(lambda: machine.kubectl("cp", "-c", "c", str(file), "p:/big", timeout=300))
    down = _timed(lambda: machine.kubectl("cp", "-c", "c", "p:/big", str(machine.root / "back"), timeout=300))
    print(f"streams: kubectl cp {MEGABYTES} MB: {MEGABYTES / up:.0f} MB/s up, {MEGABYTES / down:.0f} MB/s down")


def _log(machine: Machine) -> None:
    """The whole log, as far as it is written by now, while commands are timed beside it."""
    command = [*machine.enter, KUBECTL, "logs", "p", "-c", "talker"]
    began = time.perf_counter()
    reading = subprocess.Popen(command, env=machine.environment, stdout=subprocess.PIPE)
    assert reading.stdout is not None
    got, beside = 0, []
    asked = time.perf_counter()
    while data := reading.stdout.read(1 << 20):
        got += len(data)
        if time.perf_counter() - asked > 1:
            beside.append(_timed(lambda: machine.kubectl("exec", "p", "-c", "c", "--", "true")))
            asked = time.perf_counter()
    seconds = time.perf_counter() - began
    worst = f", a command beside it at most {max(beside) * 1000:.0f} ms" if beside else ""
    print(f"streams: kubectl logs {got / 1e6:.0f} MB at {got / 1e6 / seconds:.0f} MB/s{worst}")
