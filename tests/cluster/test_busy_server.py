"""Probed pods beside a client that lists without pause: what the server does for one must not harm the others.

The agent shares its process with the API server; a probe that overlaps a stall of the loop decides nothing.
`python -m bench probes` holds the full number of pods for a minute.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.machines import KUBECTL, Machine, Network
from tests.usage import burnt, resident

pytestmark = pytest.mark.node

OBJECTS, OBJECT_BYTES = 300, 100_000  # 30 MB
CREATED_AT_ONCE = 50


class Held(NamedTuple):
    restarts: int
    unhealthy: int  # events of probes that failed
    lists: int
    core: float  # of the server with its agent: share of one core
    resident: int  # MB


def probed(replicas: int) -> dict[str, Any]:
    """A deployment whose pods are asked for liveness and readiness every second."""
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    container = {
        "name": "web",
        "image": "busybox:test",
        "command": ["sh", "-c", "mkdir /www; echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"],
        "livenessProbe": probe,
        "readinessProbe": probe,
    }
    labels = {"app": "probed"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probed"}, "spec": spec}


def fill(machine: Machine) -> None:
    """Objects for the long list."""
    for first in range(0, OBJECTS, CREATED_AT_ONCE):
        items = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"big-{number}"},
                "data": {"text": "x" * OBJECT_BYTES},
            }
            for number in range(first, first + CREATED_AT_ONCE)
        ]
        listed = {"apiVersion": "v1", "kind": "List", "items": items}
        machine.kubectl("create", "-f", "-", stdin=json.dumps(listed))


@contextmanager
def listing(machine: Machine) -> Iterator[Path]:
    """A client that lists everything again and again; a line in the file for every list it has got."""
    done = machine.root / "lists"
    every = f"{shlex.quote(KUBECTL)} get --raw /api/v1/namespaces/default/configmaps | wc -c >> {done}"
    command = [*machine.enter, "sh", "-c", f"while :; do {every}; done"]
    client = subprocess.Popen(command, env=machine.environment)
    try:
        yield done
    finally:
        client.kill()
        client.wait()


def hold(machine: Machine, replicas: int, seconds: float) -> Held:
    """What became of so many probed pods while the list was read for so long."""
    fill(machine)
    machine.kubectl("create", "-f", "-", stdin=json.dumps(probed(replicas)))
    machine.kubectl("rollout", "status", "deployment/probed", "--timeout=180s", timeout=190)
    assert machine.process is not None
    pid = machine.process.pid
    with listing(machine) as done:
        began, before = time.monotonic(), burnt(pid)
        time.sleep(seconds)
        core = (burnt(pid) - before) / (time.monotonic() - began)
        memory = resident(pid)
        sizes = [int(line) for line in done.read_text().split()]
    assert min(sizes) > OBJECTS * OBJECT_BYTES
    pods = json.loads(machine.kubectl("get", "pods", "-l", "app=probed", "-o", "json"))["items"]
    assert len(pods) == replicas
    statuses = [status for pod in pods for status in pod["status"]["containerStatuses"]]
    events = machine.kubectl("get", "events", "--field-selector", "reason=Unhealthy", "-o", "name").split()
    restarts = sum(status["restartCount"] for status in statuses)
    return Held(restarts, len(events), len(sizes), core, memory)


def test_no_probed_pod_is_restarted_while_a_client_reads_long_lists(network: Network) -> None:
    machine = network.machine()
    machine.serve()
    held = hold(machine, 30, 20)
    print(held)
    assert held.lists >= 1
    assert held.restarts == 0
