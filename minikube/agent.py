"""Composition root of a node: runtime, network and the pods' lives."""

from __future__ import annotations

import asyncio
import platform

from minikube.client.base import Client, Informers
from minikube.client.recorder import Recorder
from minikube.kit.clock import SYSTEM
from minikube.kit.tasks import guard
from minikube.node.agent import Agent
from minikube.node.network.base import PodNetwork
from minikube.node.network.node import NodeNetwork
from minikube.node.runtime.base import Runtime
from minikube.node.runtime.containerd import Containerd
from minikube.node.runtime.cri import CriRuntime
from minikube.node.runtime.simulated import SimulatedNetwork, SimulatedRuntime
from minikube.settings import Settings, SettingsError


async def run_agent(settings: Settings) -> None:
    """Raises SettingsError: a machine cannot join yet."""
    raise SettingsError("joining another machine is not there yet: see the status table in README.md")


async def run_node(client: Client, informers: Informers, settings: Settings, address: str) -> None:
    """This machine's node, real or simulated, until cancelled."""
    name = settings.node_name or platform.node().lower()
    recorder = Recorder(client, "kubelet", name)
    async with asyncio.TaskGroup() as tasks:
        runtime: Runtime = SimulatedRuntime()
        network: PodNetwork = SimulatedNetwork()
        if not settings.simulate:
            containerd = Containerd(settings)
            if not settings.container_runtime_endpoint:
                await containerd.start()
                tasks.create_task(guard("containerd", containerd.run), name="containerd")
            runtime = CriRuntime(settings.container_runtime_endpoint or containerd.endpoint)
            for archive in sorted(settings.images_dir.glob("*.tar*")):
                await runtime.import_archive(str(archive))
            wiring = NodeNetwork(informers, settings, name, address)
            network = wiring.pods
            tasks.create_task(guard("network", wiring.run), name="network")
        agent = Agent(client, informers, runtime, network, recorder, settings, SYSTEM, name, [address])
        tasks.create_task(recorder.run(), name="events of the node")
        tasks.create_task(guard("node", agent.run), name="node")
