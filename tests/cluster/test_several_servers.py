"""An agent knows the API at two addresses, one behind a relay, and changes over whenever one of them is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.machines import Machine, Network

pytestmark = [pytest.mark.node, pytest.mark.timeout(180)]

RELAY = """
import asyncio, sys

async def pour(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()

async def relay(reader, writer):
    there, back = await asyncio.open_connection(sys.argv[1], 6443)
    await asyncio.gather(pour(reader, back), pour(there, writer), return_exceptions=True)

async def main():
    async with await asyncio.start_server(relay, "", 6443) as server:
        await server.serve_forever()

asyncio.run(main())
"""


class Sites:
    """A server, a relay in front of it, and an agent that was told of the relay; it runs a pod."""

    def __init__(self, network: Network) -> None:
        self.front = network.machine("f")
        self.server = network.machine("s", tls_san=self.front.address)
        self.agent = network.machine("a")
        self.process: subprocess.Popen[bytes] | None = None
        self.server.serve()
        self.relay()
        self.agent.variables["MINIKUBE_SERVER"] = f"https://{self.front.address}:6443"
        self.agent.variables["MINIKUBE_TOKEN"] = self.server.token
        self.agent.start("agent")
        self.server.wait(lambda: self.server.ready(self.agent.name))
        on = f'{{"spec":{{"nodeName":"{self.agent.name}"}}}}'
        self.server.kubectl("run", "p", "--image=busybox:test", f"--overrides={on}", "--", "sleep", "600")
        self.server.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
        self.began = self.container()

    def relay(self) -> None:
        command = [*self.front.enter, sys.executable, "-c", RELAY, self.server.address]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.server.wait(
            lambda: (
                self.agent.run("busybox", "nc", "-w", "1", self.front.address, "6443", check=False).returncode == 0
            )
        )

    def cut(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def container(self) -> str:
        path = "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"
        return self.server.kubectl("get", "pod", "p", "-o", path)

    def works(self) -> None:
        """Its lease is renewed, a change reaches it and streams work; the pod was not touched."""
        renewed = ("get", "lease", self.agent.name, "-n", "kube-node-lease", "-o", "jsonpath={.spec.renewTime}")
        before = self.server.kubectl(*renewed)
        self.server.wait(lambda: self.server.kubectl(*renewed) != before, 45)
        self.server.wait(lambda: self.server.kubectl("exec", "p", "--", "echo", "yes") == "yes\n")
        on = f'{{"spec":{{"nodeName":"{self.agent.name}","terminationGracePeriodSeconds":0}}}}'
        self.server.kubectl("run", "q", "--image=busybox:test", f"--overrides={on}", "--", "sleep", "600")
        self.server.kubectl("wait", "--for=condition=Ready", "pod/q", "--timeout=60s")
        self.server.kubectl("delete", "pod", "q")
        assert self.container() == self.began


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with Network(f"s{os.getpid()}") as network:
        made = Sites(network)
        yield made
        made.cut()


def test_the_other_address_is_learned_and_taken_when_the_first_is_gone(sites: Sites) -> None:
    direct = sites.server.url
    sites.server.wait(lambda: direct in (sites.agent.root / "data/agent/servers.json").read_text())
    sites.works()
    sites.cut()
    sites.server.wait(lambda: f"to {direct}" in sites.agent.tail())
    sites.works()


def test_and_back_when_the_other_is_gone(sites: Sites) -> None:
    sites.relay()
    kill_connections(sites.agent, sites.server)
    relay = f"https://{sites.front.address}:6443"
    sites.server.wait(lambda: f"to {relay}" in sites.agent.tail(), 60)
    sites.works()


def kill_connections(agent: Machine, server: Machine) -> None:
    """What is open to the server's own address is cut by resets, as a router that has forgotten it would."""
    rules = f"""
    table ip cut {{
        chain out {{
            type filter hook output priority 0
            ip daddr {server.address} tcp dport 6443 reject with tcp reset
        }}
    }}
    """
    agent.run("nft", "-f", "-", stdin=rules)
