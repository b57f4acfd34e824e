"""Composition root of a node: runtime, network and the pods' lives."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from minikube.client.http import HttpClient
from minikube.client.informer import WatchInformers
from minikube.client.recorder import Recorder
from minikube.kit.clock import SYSTEM
from minikube.kit.keeper import Keeper
from minikube.kit.tasks import guard, until_signalled
from minikube.node.agent import Agent
from minikube.node.certificates import NodeCertificates
from minikube.node.join import join
from minikube.node.network.base import PodNetwork
from minikube.node.network.node import NodeNetwork
from minikube.node.runtime.archives import Archives
from minikube.node.runtime.base import Runtime
from minikube.node.runtime.containerd import Containerd
from minikube.node.runtime.cri import CriRuntime
from minikube.node.runtime.simulated import SimulatedNetwork, SimulatedRuntime
from minikube.node.volumes.local_path import LocalPathVolumes
from minikube.pki.node import NodePki, node_pki
from minikube.settings import Settings
from minikube.transport.client import address_towards, client_context


async def run_agent(settings: Settings) -> None:
    """Join `settings.server` unless this machine has, then run its node until SIGTERM. Raises SettingsError."""
    pki = node_pki(settings)
    address = settings.node_ip or address_towards(settings.server)

    async def work() -> None:
        await join(settings.server, settings.token, pki, settings.own_node_name, SYSTEM)
        await run_node(settings.server, pki, settings, address, Keeper(os.environ, os.getpid()))

    await until_signalled(work())


async def run_node(server: str, pki: NodePki, settings: Settings, address: str, keeper: Keeper) -> None:
    """This machine's node, real or simulated, against the API at the URL `server`, until cancelled."""
    name = settings.own_node_name
    context = client_context(pki.server_ca, pki.client.certificate, pki.client.key)
    async with HttpClient(server, context, user_agent="kubelet") as client, asyncio.TaskGroup() as tasks:
        informers = WatchInformers(client)
        recorder = Recorder(client, "kubelet", name)
        tasks.create_task(informers.run(), name="informers of the node")
        certificates = NodeCertificates(client, informers, pki, name, SYSTEM)
        tasks.create_task(guard("certificates", certificates.run), name="certificates of the node")
        runtime: Runtime = SimulatedRuntime()
        kept: Callable[[], frozenset[str]] = frozenset
        network: PodNetwork = SimulatedNetwork()
        if not settings.simulate:
            containerd = Containerd(settings)
            if not settings.container_runtime_endpoint:
                await containerd.start()
                tasks.create_task(guard("containerd", containerd.run), name="containerd")
            runtime = CriRuntime(
                settings.container_runtime_endpoint or containerd.endpoint,
                pulls_at_once=settings.max_parallel_image_pulls,
            )
            archives = Archives(runtime, settings.images_dir, settings.agent_dir / "imported.json")
            await archives.import_all()
            kept = archives.images_now
            tasks.create_task(guard("image archives", archives.run), name="image archives")
            wiring = NodeNetwork(informers, settings, name, address, keeper, recorder)
            network = wiring.pods
            tasks.create_task(guard("network", wiring.run), name="network")
        agent = Agent(
            client, informers, runtime, network, recorder, settings, SYSTEM, name, [address], kept_images=kept
        )
        local_path = LocalPathVolumes(client, informers, settings, name)
        tasks.create_task(guard("local-path volumes", local_path.run), name="local-path volumes")
        tasks.create_task(recorder.run(), name="events of the node")
        tasks.create_task(guard("node", agent.run), name="node")
