"""The service proxy: keeps what the kernel holds and sends only what differs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from minikube.node.network import ruleset
from minikube.node.network.base import ServicePort
from minikube.node.network.nft import Nft, NftError

log = logging.getLogger(__name__)


class NftProxy:
    """Services, hostPorts and the cluster DNS in the one table `ip minikube`."""

    def __init__(self, cluster_cidr: str) -> None:
        self._cluster_cidr = cluster_cidr
        self._nft = Nft()
        self._lock = asyncio.Lock()
        self._started = False
        self._held = ruleset.Ruleset()
        self._services = ruleset.Ruleset()
        self._host_ports: dict[str, ruleset.Ruleset] = {}
        self._fixed: dict[str, ruleset.Ruleset] = {}

    async def start(self) -> None:
        async with self._lock:
            await self._rebuild()

    async def apply(self, ports: Sequence[ServicePort]) -> None:
        self._services = ruleset.build(ports, self._cluster_cidr)
        await self._flush()

    async def redirect(self, name: str, entries: Sequence[tuple[str, str, int, str, int]]) -> None:
        """Fixed destinations: (address, protocol, port, to, to_port)."""
        self._fixed[name] = ruleset.merge(ruleset.static(*entry) for entry in entries)
        await self._flush()

    async def host_ports(self, pod_uid: str, entries: Sequence[tuple[str, str, int, int]]) -> None:
        """(pod_ip, protocol, host port, pod port) of one pod; none: they go."""
        if entries:
            self._host_ports[pod_uid] = ruleset.merge(ruleset.host_port(*entry) for entry in entries)
        elif self._host_ports.pop(pod_uid, None) is None:
            return
        await self._flush()

    def _desired(self) -> ruleset.Ruleset:
        return ruleset.merge([self._services, *self._host_ports.values(), *self._fixed.values()])

    async def _rebuild(self) -> None:
        desired = self._desired()
        await self._nft.run(ruleset.skeleton(self._cluster_cidr) + ruleset.difference(ruleset.Ruleset(), desired))
        self._held, self._started = desired, True

    async def _flush(self) -> None:
        async with self._lock:
            if not self._started:
                return
            desired = self._desired()
            text = ruleset.difference(self._held, desired)
            if not text:
                return
            try:
                await self._nft.run(text)
                self._held = desired
            except NftError as error:
                log.warning("the table is not as it was left, building it anew: %s", error)
                await self._rebuild()
