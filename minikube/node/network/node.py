"""The node's network as one thing: pods, peers, services and names, for the agent's composition root."""

from __future__ import annotations

import asyncio
import logging

from minikube.api.core_v1 import Node
from minikube.client.base import Informers
from minikube.client.events import EventRecorder
from minikube.kit.keeper import Keeper
from minikube.kit.tasks import guard
from minikube.node.network.dns import Dns
from minikube.node.network.foreign import Drop, drops
from minikube.node.network.nft import NftError, whole_ruleset
from minikube.node.network.peers import peers
from minikube.node.network.proxy import NftProxy
from minikube.node.network.service_health import ServiceHealth
from minikube.node.network.services import ServiceSync
from minikube.node.network.veth import VethNetwork
from minikube.node.network.vxlan import VxlanOverlay
from minikube.settings import Settings

log = logging.getLogger(__name__)
DNS_PORT = 10053
FIREWALL_EVERY = 300.0
FIREWALL_RETRY = 5.0


class NodeNetwork:
    """`pods` is usable once `ready` is set: then this node's range is known and wired."""

    def __init__(
        self,
        informers: Informers,
        settings: Settings,
        node_name: str,
        node_ip: str,
        keeper: Keeper,
        recorder: EventRecorder,
    ) -> None:
        self._informers = informers
        self._settings = settings
        self._node_name = node_name
        self._node_ip = node_ip
        self._keeper, self._recorder = keeper, recorder
        self._nodes = informers.of(Node)
        self._changed = asyncio.Event()
        self._nodes.add_handler(lambda old, new: self._changed.set())
        self.proxy = NftProxy(settings.cluster_cidr, settings.run_dir / "proxy.json")
        self.pods = VethNetwork(settings.agent_dir, service_cidr=settings.service_cidr, proxy=self.proxy)
        self.ready = asyncio.Event()

    async def run(self) -> None:
        await self._nodes.wait_synced()
        cidr = await self._own_range()
        await self.proxy.start()
        await self.pods.start(cidr)
        gateway, dns = self.pods.gateway, self._settings.cluster_dns
        await self.proxy.redirect("dns", [(dns, kind, 53, gateway, DNS_PORT) for kind in ("udp", "tcp")])
        self.ready.set()
        names = Dns(self._informers, self._settings, [(gateway, DNS_PORT)], self._keeper)
        overlay = VxlanOverlay(self._node_ip, cidr)
        async with ServiceHealth() as health, asyncio.TaskGroup() as group:
            services = ServiceSync(self._informers, self.proxy, health, self._node_name)
            group.create_task(guard("cluster DNS", names.run))
            group.create_task(guard("service proxy", services.run))
            group.create_task(guard("firewall", self._watch_firewall))
            group.create_task(guard("overlay", lambda: self._follow_peers(overlay)))

    async def _watch_firewall(self) -> None:
        """Tell once of every foreign chain that stands in the pods' way."""
        told: frozenset[Drop] = frozenset()
        cidr = self._settings.cluster_cidr
        while True:
            try:
                found = frozenset(drops(await whole_ruleset(), cidr))
            except NftError as error:  # a listing that a transaction came across is no listing
                log.debug("no list of the rules this time: %s", error)
                await asyncio.sleep(FIREWALL_RETRY)
                continue
            for each in found - told:
                log.warning("%s", each.message(cidr))
                if (node := self._nodes.lister.get(self._node_name)) is not None:
                    self._recorder.warning(node, "FirewallDropsPods", each.message(cidr))
            told = found
            await asyncio.sleep(FIREWALL_EVERY)

    async def _own_range(self) -> str:
        while True:
            self._changed.clear()
            node = self._nodes.lister.get(self._node_name)
            if node is not None and node.spec.pod_cidr:
                return node.spec.pod_cidr
            await self._changed.wait()

    async def _follow_peers(self, overlay: VxlanOverlay) -> None:
        while True:
            self._changed.clear()
            await overlay.apply(peers(self._nodes.lister.list(), self._node_name))
            await self._changed.wait()
