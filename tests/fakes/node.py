"""An agent over a registry in memory: the real parts with any runtime, no server, no packets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from minikube.api.core_v1 import Node, NodeSpec, Pod
from minikube.api.meta import ObjectMeta, from_dict
from minikube.errors import AlreadyExists, NotFound
from minikube.kit.clock import SYSTEM, Clock
from minikube.node.agent import Agent
from minikube.node.network.base import PodNetwork
from minikube.node.runtime.base import Runtime
from minikube.node.runtime.simulated import SimulatedNetwork
from minikube.settings import Settings
from tests.fakes.cluster import Cluster, Told

IMAGE = "docker.io/library/busybox:test"


class NodeUnderTest:
    """`start` an agent, `kill` it as kill -9 would, ask the API what became of pods."""

    def __init__(self, cluster: Cluster, runtime: Runtime, directory: Path, cgroup: str) -> None:
        self.cluster, self.client, self.runtime = cluster, cluster.client, runtime
        self.settings = Settings(
            data_dir=directory / "data",
            run_dir=directory / "run",
            pod_logs_dir=directory / "logs",
            kubelet_dir=directory / "kubelet",
            cgroup_root=cgroup,
        )
        self.network: PodNetwork = SimulatedNetwork()
        self.told = Told()
        self.agent: Agent | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self, clock: Clock = SYSTEM) -> None:
        node = Node(metadata=ObjectMeta(name="n"), spec=NodeSpec(pod_cidr="10.42.0.0/24"))
        with suppress(AlreadyExists):
            await self.client.create(node)
        self.agent = Agent(
            self.client,
            self.cluster.informers,
            self.runtime,
            self.network,
            self.told,
            self.settings,
            clock,
            "n",
            ["10.0.0.1"],
        )
        self._running = asyncio.create_task(self.agent.run(), name="agent")

    async def kill(self) -> None:
        """Its memory is gone, what it started stays."""
        assert self._running is not None
        self._running.cancel()
        await asyncio.wait([self._running])

    async def run(self, name: str = "p", annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
        """Create a pod on this node; `spec` in the words of the API."""
        given = {"containers": [{"name": "c"}], "terminationGracePeriodSeconds": 1, **spec}
        for each in (*given["containers"], *given.get("initContainers", ())):
            each.setdefault("image", IMAGE)
            each.setdefault("command", ["sleep", "600"])
        tree = {"metadata": {"name": name, "namespace": "default", "annotations": annotations or {}}, "spec": given}
        pod = from_dict(Pod, tree)
        return await self.client.create(pod_on(pod, "n"))

    async def pod(self, name: str = "p") -> Pod:
        return await self.client.get(Pod, name, "default")

    async def until(self, holds: Callable[[Pod], object], name: str = "p", seconds: float = 20) -> Pod:
        """A pod that is not there (yet) does not hold."""
        deadline = SYSTEM.monotonic() + seconds
        found: Pod | None = None
        while SYSTEM.monotonic() < deadline:
            with suppress(NotFound):
                if holds(found := await self.pod(name)):
                    return found
            await asyncio.sleep(0.02)
        raise AssertionError(found)

    async def until_node_reported(self) -> None:
        """Until the node's status says what it has."""
        for _ in range(500):
            if (await self.client.get(Node, "n")).status.allocatable:
                return
            await asyncio.sleep(0.02)
        raise AssertionError

    async def empty(self, seconds: float = 20) -> None:
        """Until the runtime has no sandbox any more."""
        deadline = SYSTEM.monotonic() + seconds
        while found := await self.runtime.sandboxes():
            assert SYSTEM.monotonic() < deadline, found
            await asyncio.sleep(0.05)

    async def gone(self, name: str = "p", seconds: float = 20) -> None:
        deadline = SYSTEM.monotonic() + seconds
        while any(each.metadata.name == name for each in (await self.client.list(Pod, "default")).items):
            assert SYSTEM.monotonic() < deadline
            await asyncio.sleep(0.02)


def pod_on(pod: Pod, node: str) -> Pod:
    return replace(pod, spec=replace(pod.spec, node_name=node))


@asynccontextmanager
async def node_under_test(runtime: Runtime, directory: Path, cgroup: str) -> AsyncIterator[NodeUnderTest]:
    cluster = await Cluster.open()
    node = NodeUnderTest(cluster, runtime, directory, cgroup)
    await node.start()
    try:
        yield node
    finally:
        await node.kill()
        assert cluster.running is not None
        cluster.running.cancel()
