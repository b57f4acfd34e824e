"""A supervised server that is killed: its clients wait, they are not refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.machines import KUBECTL, Machine, Network

pytestmark = pytest.mark.node


def pid_of(machine: Machine) -> int:
    """Of the minikube process below the supervisor."""
    assert machine.process is not None
    pid = machine.process.pid
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_requests_and_lookups_wait_while_a_killed_server_starts_again(network: Network) -> None:
    machine = network.machine()
    machine.process = subprocess.Popen(
        [*machine.enter, sys.executable, "-m", "minikube.supervisor", "server"],
        env=machine.environment,
        stdout=machine.log.open("ab"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    machine.wait(lambda: machine.ready(machine.name))
    machine.kubectl("run", "p", "--image=busybox:test", "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    for _ in range(3):
        killed = pid_of(machine)
        os.kill(killed, signal.SIGKILL)
        began = time.monotonic()
        lookup = subprocess.Popen(
            [*machine.enter, "busybox", "nslookup", "kubernetes.default.svc.cluster.local", "10.43.0.10"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert machine.run(KUBECTL, "get", "pod", "p", "-o", "name").stdout == "pod/p\n"
        print(f"answered {time.monotonic() - began:.2f} s after kill -9")
        assert "10.43.0.1\n" in lookup.communicate(timeout=30)[0]
        print(f"name found {time.monotonic() - began:.2f} s after kill -9")
        assert pid_of(machine) != killed
