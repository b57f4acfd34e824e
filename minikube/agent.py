"""Composition root of a node: runtime, network and the pods' lives."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from minikube.api.labels import OWN_LABELS, may_label_itself
from minikube.client.http import HttpClient
from minikube.client.informer import WatchInformers
from minikube.client.recorder import Recorder
from minikube.client.remembering import RememberingClient
from minikube.kit import memory
from minikube.kit.clock import SYSTEM
from minikube.kit.keeper import Keeper
from minikube.kit.tasks import guard, until_signalled
from minikube.node.agent import Agent
from minikube.node.certificates import NodeCertificates, Rejoin
from minikube.node.host.processes import spare_us
from minikube.node.join import join
from minikube.node.kubelet import KubeletApi
from minikube.node.network.base import PodNetwork
from minikube.node.network.node import NodeNetwork
from minikube.node.runtime.archives import Archives
from minikube.node.runtime.base import Runtime
from minikube.node.runtime.containerd import Containerd
from minikube.node.runtime.cri import CriRuntime
from minikube.node.runtime.simulated import SimulatedNetwork, SimulatedRuntime
from minikube.node.servers import Servers
from minikube.node.volumes.local_path import LocalPathVolumes
from minikube.pki.node import NodePki, node_pki
from minikube.settings import Settings, SettingsError
from minikube.transport.certificates import LiveContext
from minikube.transport.client import address_towards, client_context
from minikube.transport.parking import Dial, Parker, Parkers

log = logging.getLogger(__name__)
ADDRESS_EVERY = 10.0
LOOPBACK = "127.0.0.1"
"""What a machine without any address finds."""


async def run_agent(settings: Settings) -> None:
    """Join `settings.server` unless this machine has, then run its node until SIGTERM. Raises SettingsError."""
    check_node(settings)
    if not settings.simulate:
        spare_us()
    pki, keeper = node_pki(settings), Keeper(os.environ, os.getpid())

    async def rejoin(*, anew: bool = True) -> None:
        await join(settings.server, settings.token, pki, settings.own_node_name, SYSTEM, anew=anew)

    async def node_at(address: str) -> None:
        context = client_context(pki.server_ca, pki.client.certificate, pki.client.key)
        servers = Servers(settings.server, settings.agent_dir / "servers.json")
        client = RememberingClient(
            settings.server, context, user_agent="kubelet", directory=settings.agent_dir / "known"
        )
        client.use(servers.known())
        await run_node(client, pki, settings, address, keeper, rejoin, servers)

    async def work() -> None:
        await rejoin(anew=False)
        lean = asyncio.create_task(memory.stay_lean(SYSTEM), name="memory")
        try:
            await follow_address(lambda: settings.node_ip or address_towards(settings.server), node_at)
        finally:
            lean.cancel()

    await until_signalled(work())


async def follow_address(find: Callable[[], str], node_at: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Run the node at the address that `find` says, anew whenever it says another one. Pods keep running."""
    address = find()
    while True:
        node = asyncio.create_task(node_at(address), name=f"node at {address}")
        try:
            while (now := find()) in (address, LOOPBACK):
                done, _ = await asyncio.wait({node}, timeout=ADDRESS_EVERY)
                if done:
                    return await node
            log.warning("this machine's address is %s now, it was %s", now, address)
            address = now
        finally:
            node.cancel()
            await asyncio.wait({node})


def check_node(settings: Settings) -> None:
    """Whether this node may have the labels and taints it is to have. Raises SettingsError."""
    forbidden = sorted(key for text in settings.node_label if not may_label_itself(key := text.partition("=")[0]))
    if forbidden:
        raise SettingsError(
            f"node-label: a node may not give itself {', '.join(forbidden)} (an administrator can: kubectl label "
            "node); in kubernetes.io and k8s.io it may set kubelet.kubernetes.io/…, node.kubernetes.io/… and "
            f"{', '.join(sorted(OWN_LABELS))}"
        )
    for text in settings.node_taint:
        key, _, effect = text.rpartition(":")
        if not key or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            raise SettingsError(
                f"node-taint: {text!r} is not key[=value]:NoSchedule, PreferNoSchedule or NoExecute"
            )


async def launch_runtime(settings: Settings) -> None:
    """Ahead of `run_node`, which waits for it: containerd takes its time to start. Raises SettingsError."""
    if not settings.simulate:
        spare_us()
    if not settings.simulate and not settings.container_runtime_endpoint:
        await asyncio.to_thread(Containerd(settings).launch)


async def run_node(
    client: HttpClient,
    pki: NodePki,
    settings: Settings,
    address: str,
    keeper: Keeper,
    rejoin: Rejoin,
    servers: Servers | None = None,
    dial: Dial | None = None,
) -> None:
    """This machine's node, real or simulated, over the client, until cancelled. `servers`: what it may change over
    to. `dial` parks connections at the server of this very process; without it they are parked at all `servers`."""
    name = settings.own_node_name
    settings.agent_dir.mkdir(parents=True, exist_ok=True)
    settings.agent_dir.chmod(0o700)  # below are the tokens and Secrets of pods, readable by whoever gets there
    async with client, asyncio.TaskGroup() as tasks:
        if isinstance(client, RememberingClient):
            tasks.create_task(guard("memory of the node", client.remember), name="memory of the node")
        informers = WatchInformers(client)
        recorder = Recorder(client, "kubelet", name)
        tasks.create_task(informers.run(), name="informers of the node")
        certificates = NodeCertificates(client, informers, pki, name, SYSTEM, rejoin)
        tasks.create_task(guard("certificates", certificates.run), name="certificates of the node")
        runtime: Runtime = SimulatedRuntime()
        kept: Callable[[], frozenset[str]] = frozenset
        network: PodNetwork = SimulatedNetwork()
        if not settings.simulate:
            runtime, archives = await _containers(settings, tasks)
            kept = archives.images_now
            wiring = NodeNetwork(informers, settings, name, address, keeper, recorder)
            network = wiring.pods
            tasks.create_task(guard("network", wiring.run), name="network")
        agent = Agent(
            client, informers, runtime, network, recorder, settings, SYSTEM, name, [address], kept_images=kept
        )
        kubelet = KubeletApi(agent, pki.client_ca)
        if dial is not None:
            tasks.create_task(Parker(kubelet.trusted, dial, name="here").run(), name="parked connections")
        elif servers is not None:
            tasks.create_task(_parked(agent, kubelet, servers, client, informers, pki), name="parked connections")
        if not settings.simulate:
            port = partial(_kubelet_port, kubelet, certificates, pki)
            tasks.create_task(guard("kubelet port", port), name="kubelet port")
        local_path = LocalPathVolumes(client, informers, settings, name)
        tasks.create_task(guard("local-path volumes", local_path.run), name="local-path volumes")
        tasks.create_task(recorder.run(), name="events of the node")
        tasks.create_task(guard("node", agent.run), name="node")


async def _containers(settings: Settings, tasks: asyncio.TaskGroup) -> tuple[CriRuntime, Archives]:
    """Real containers, by the containerd that the settings name or our own, with the images that lie ready."""
    endpoint = settings.container_runtime_endpoint
    if not endpoint:
        containerd = Containerd(settings)
        await containerd.start()
        tasks.create_task(guard("containerd", containerd.run), name="containerd")
        endpoint = containerd.endpoint
    runtime = CriRuntime(endpoint, pulls_at_once=settings.max_parallel_image_pulls)
    archives = Archives(runtime, settings.images_dir, settings.agent_dir / "imported.json")
    await guard("image archives at the start", archives.import_all)  # a runtime that is busy is waited for
    tasks.create_task(guard("image archives", archives.run), name="image archives")
    return runtime, archives


async def _parked(
    agent: Agent, kubelet: KubeletApi, servers: Servers, client: HttpClient, informers: WatchInformers, pki: NodePki
) -> None:
    """Connections at every server that is known, now and later; requests change over among the same."""
    parkers = Parkers(
        kubelet.trusted,
        agent.node_name,
        lambda: client_context(pki.server_ca, pki.client.certificate, pki.client.key),
        agent.reporting.seen_from,
    )

    def use(known: Sequence[str]) -> None:
        client.use(known)
        parkers.at(known)

    parkers.at(servers.known())
    servers.follow(informers, use)
    await parkers.run()


async def _kubelet_port(kubelet: KubeletApi, certificates: NodeCertificates, pki: NodePki) -> None:
    """Open as soon as there is a certificate to show; each new one is taken into new connections."""
    await certificates.served.wait()
    live = LiveContext(pki.serving.certificate, pki.serving.key, [pki.client_ca])
    certificates.renewed.append(live.reload)
    await kubelet.listen(live.context)
