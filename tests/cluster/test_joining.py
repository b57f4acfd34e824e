"""Several machines: how they join, and what holds between their pods."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import Machine, Network, sh

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Machine, Machine]]:
    """A server and an agent that has joined it."""
    with Network(f"j{os.getpid()}") as network:
        server, agent = network.machine("a"), network.machine("b")
        server.serve()
        agent.join(server)
        yield server, agent


def test_both_nodes_are_ready_and_the_server_is_the_control_plane(pair: tuple[Machine, Machine]) -> None:
    server, agent = pair
    roles = server.kubectl("get", "nodes", "--no-headers", "-o", "wide").splitlines()
    assert [line.split()[:3] for line in roles] == [
        [server.name, "Ready", "control-plane"],
        [agent.name, "Ready", "<none>"],
    ]
    assert [line.split()[5] for line in roles] == [server.address, agent.address]


def test_pods_and_services_reach_across_machines(pair: tuple[Machine, Machine]) -> None:
    server, agent = pair
    for machine in pair:
        node = f'{{"spec":{{"nodeName":"{machine.name}"}}}}'
        server.kubectl(
            "run", f"web-{machine.name}", "--image=busybox:test", "--labels=app=web", f"--overrides={node}", "--",
            "sh", "-c", f"mkdir /w; echo {machine.name} >/w/index.html; exec busybox httpd -f -p 80 -h /w",
        )  # fmt: skip
    server.kubectl("expose", "pod", f"web-{server.name}", "--name=web", "--port=80", "--selector=app=web")
    server.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=30s")
    address = server.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    ips = server.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.podIP}").split()
    assert len(ips) == 2
    for machine in pair:
        for ip in ips:
            machine.run("busybox", "ping", "-c1", "-W2", ip)
        seen: set[str] = set()
        machine.wait(
            lambda seen=seen, machine=machine: (
                seen.add(machine.run("busybox", "wget", "-qO-", f"http://{address}").stdout.strip())
                or seen == {server.name, agent.name}
            ),
            10,
        )


def test_a_machine_that_boots_without_any_server_runs_its_pods(pair: tuple[Machine, Machine]) -> None:
    server, agent = pair
    spec = {
        "nodeName": agent.name,
        "containers": [
            {
                "name": "c",
                "image": "busybox:test",
                "command": [
                    "sh",
                    "-c",
                    "cat /var/run/secrets/kubernetes.io/serviceaccount/token && exec sleep 12345",
                ],
                "envFrom": [{"configMapRef": {"name": "known"}}],
            }
        ],
    }
    server.kubectl("create", "configmap", "known", "--from-literal=a=b")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stays"}, "spec": spec}
    server.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    server.kubectl("wait", "--for=condition=Ready", "pod/stays", "--timeout=30s")
    agent.wait(
        lambda: any("stays" in file.read_text() for file in (agent.root / "data/agent").rglob("pods.core.*"))
    )
    assert server.stop() == 0
    agent.power_off()
    agent.start("agent")
    agent.wait(lambda: any(command_of(pid) == "sleep 12345" for pid in descendants(agent)), 60)
    server.serve()
    count = ("get", "pod", "stays", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
    server.wait(lambda: server.kubectl(*count) == "1", 60)
    server.kubectl("wait", "--for=condition=Ready", "pod/stays", "--timeout=30s")


def descendants(machine: Machine) -> Iterator[int]:
    """Processes of its containers: children of the shims of its containerd."""
    for shim in machine.processes():
        for task in Path(f"/proc/{shim}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                yield from map(int, task.read_text().split())


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def test_a_server_that_moves_takes_its_api_along(network: Network) -> None:
    machine = network.machine()
    machine.serve()
    machine.kubectl("run", "p", "--image=busybox:test", "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
    before = machine.kubectl("get", "pod", "p", "-o", "jsonpath={.status.containerStatuses[0].containerID}")
    inside, moved = ("ip", "-n", machine.namespace), "172.31.0.99"
    sh(*inside, "addr", "flush", "dev", "eth0")
    sh(*inside, "addr", "add", f"{moved}/24", "dev", "eth0")
    sh(*inside, "route", "add", "default", "via", "172.31.0.1")
    node = ("get", "node", "-o", 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}')
    machine.wait(lambda: machine.kubectl(*node) == moved)
    api = ("get", "endpointslice", "kubernetes", "-o", "jsonpath={.endpoints[0].addresses[0]}")
    assert machine.kubectl(*api) == moved
    machine.wait(lambda: machine.kubectl("--server", f"https://{moved}:6443", "get", "pod", "p"))
    status = "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"
    assert machine.kubectl("get", "pod", "p", "-o", status) == f"{before} 0"
    address = machine.kubectl("get", "pod", "p", "-o", "jsonpath={.status.podIP}")
    machine.run("busybox", "ping", "-c1", "-W2", address)
