"""The service proxy: knows what the kernel holds, also after a restart, and sends only what differs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from minikube.node.network import ruleset
from minikube.node.network.base import ServicePort
from minikube.node.network.conntrack import forget_udp, host_flows
from minikube.node.network.nft import TABLE, Nft, NftError
from minikube.node.network.ruleset import Ruleset
from minikube.node.runtime.base import PortMapping

log = logging.getLogger(__name__)
MARKER = "state_"
"""An empty chain of this name and the state's digest: the kernel's own word for what the table holds."""


class NftProxy:
    """Services, hostPorts and the cluster DNS in the one table `ip minikube`.

    Nothing is sent before the first `apply`: until then a table of an earlier process goes on serving. The state is
    kept in `memory`, which need not survive a boot (the table does not either).
    """

    def __init__(self, cluster_cidr: str, memory: Path) -> None:
        self._cluster_cidr, self._memory = cluster_cidr, memory
        self._skeleton = ruleset.skeleton(cluster_cidr)
        self._nft = Nft()
        self._lock = asyncio.Lock()
        self._held: Ruleset | None = None
        self._digest = ""
        self._services: Ruleset | None = None
        self._ports: tuple[ServicePort, ...] = ()
        self._host_ports: dict[str, Ruleset] = {}
        self._host_flows: dict[str, tuple[ServicePort, ...]] = {}
        self._fixed: dict[str, Ruleset] = {}

    async def start(self) -> None:
        """Raises NftError."""
        self._held = await asyncio.to_thread(self._adopt)

    async def apply(self, ports: Sequence[ServicePort]) -> None:
        """Exactly these services are served afterwards. Raises NftError."""
        before, self._ports = self._ports, tuple(ports)
        self._services = await asyncio.to_thread(ruleset.build, self._ports, self._cluster_cidr)
        await self._flush()
        await asyncio.to_thread(forget_udp, before, self._ports)

    async def redirect(self, name: str, entries: Sequence[tuple[str, str, int, str, int]]) -> None:
        """Fixed destinations: (address, protocol, port, to, to_port)."""
        self._fixed[name] = ruleset.merge(ruleset.static(*entry) for entry in entries)
        await self._flush()

    async def host_ports(self, pod_uid: str, pod_ip: str, ports: Sequence[PortMapping]) -> None:
        """Of one pod; none: they go. Datagrams that came for them before are not led the old way any more."""
        before = self._host_flows.pop(pod_uid, ())
        if ports:
            self._host_flows[pod_uid] = after = host_flows(pod_ip, ports)
            self._host_ports[pod_uid] = ruleset.merge(
                ruleset.host_port(port.host_ip, pod_ip, port.protocol.lower(), port.host_port, port.container_port)
                for port in ports
            )
        elif self._host_ports.pop(pod_uid, None) is None:
            return
        else:
            after = ()
        await self._flush()
        nobody = [msgspec.structs.replace(port, backends=()) for port in after]
        await asyncio.to_thread(forget_udp, before or nobody, after)

    async def _flush(self) -> None:
        async with self._lock:
            if self._services is not None:
                await asyncio.to_thread(self._send, self._services)

    def _send(self, services: Ruleset) -> None:
        desired = ruleset.merge([services, *self._host_ports.values(), *self._fixed.values()])
        held = self._held
        if held is not None:
            text = ruleset.difference(held, desired)
            if not text:
                return
            try:
                digest = ruleset.digest(desired, self._skeleton)
                self._nft.run_now(text + _marked(self._digest, digest))
                self._remember(desired, digest)
                return
            except NftError as error:
                log.warning("the table is not as it was left, building it anew: %s", error)
        everything = ruleset.difference(Ruleset(), desired)
        digest = ruleset.digest(desired, self._skeleton)
        self._nft.run_now(self._skeleton + everything + _marked("", digest))
        self._remember(desired, digest)

    def _remember(self, state: Ruleset, digest: str) -> None:
        self._held, self._digest = state, digest
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._memory.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(ruleset.pack(state)))
        fresh.replace(self._memory)

    def _adopt(self) -> Ruleset | None:
        """What an earlier process remembered, if the kernel's table says that it still holds exactly that."""
        try:
            state = ruleset.unpack(msgspec.json.decode(self._memory.read_bytes(), type=ruleset.Packed))
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        try:
            self._digest = ruleset.digest(state, self._skeleton)
            self._nft.run_now(f"list chain ip {TABLE} {MARKER}{self._digest}\n")
        except NftError:
            return None
        return state


def _marked(old: str, new: str) -> str:
    gone = f"delete chain ip {TABLE} {MARKER}{old}\n" if old else ""
    return f"{gone}add chain ip {TABLE} {MARKER}{new}\n"
