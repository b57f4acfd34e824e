"""Pods on a bridge: veth pairs, addresses kept in a state file, hairpin, forwarding."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from minikube.kit.files import write_private
from minikube.node.network.base import AddressesExhausted, Attachment
from minikube.node.network.netlink import IPRoute, NetlinkError
from minikube.node.network.netns import within
from minikube.node.network.proxy import NftProxy
from minikube.node.runtime.base import PortMapping

log = logging.getLogger(__name__)

SYSCTLS = {"net/ipv4/ip_forward": "1"}
BRIDGE_SYSCTLS = {"route_localnet": "1"}
"""Of the bridge alone: hostPorts on 127.0.0.1 lead to pods. The table refuses the way back in."""


class State(msgspec.Struct):
    """What must survive the agent: who has which address, and what the host's sysctls were."""

    attachments: dict[str, Attachment] = {}
    ports: dict[str, tuple[PortMapping, ...]] = {}
    sysctls: dict[str, str] = {}


class VethNetwork:
    """PodNetwork over one bridge; the first address of the node's range is the bridge's."""

    def __init__(
        self,
        state_dir: Path,
        bridge: str = "mini0",
        *,
        mtu: int = 1450,
        service_cidr: str = "",
        proxy: NftProxy | None = None,
    ) -> None:
        self._path = state_dir / "network.json"
        self._bridge = bridge
        self._mtu = mtu
        self._service_cidr = service_cidr
        self._proxy = proxy
        self._lock = asyncio.Lock()
        self._range: ipaddress.IPv4Network | None = None
        self._state = State()

    @property
    def gateway(self) -> str:
        return str(self._started()[1])

    async def start(self, pod_cidr: str) -> None:
        async with self._lock:
            self._state = await asyncio.to_thread(_load, self._path)
            self._range = ipaddress.IPv4Network(pod_cidr)
            await asyncio.to_thread(self._make_bridge)
            await asyncio.to_thread(_save, self._path, self._state)
        for uid, found in self._state.attachments.items():
            await self._publish(uid, found)

    async def attach(self, pod_uid: str, netns: str, *, ports: Sequence[PortMapping] = ()) -> Attachment:
        async with self._lock:
            known = self._state.attachments.get(pod_uid)
            if known is not None and known.netns == netns:
                found = known
            else:
                ip = known.ips[0] if known is not None else self._free()
                name = "veth" + hashlib.sha256(pod_uid.encode()).hexdigest()[:10]
                found = Attachment(pod_uid, (ip,), netns, name)
            self._state.attachments[pod_uid] = found
            self._state.ports[pod_uid] = tuple(ports)
            await asyncio.to_thread(_save, self._path, self._state)
            await asyncio.to_thread(self._wire, found)
        await self._publish(pod_uid, found)
        return found

    async def detach(self, pod_uid: str) -> None:
        async with self._lock:
            found = self._state.attachments.get(pod_uid)
            if found is None:
                return
            if self._proxy is not None:  # first: who is still led to an interface that is gone waits for minutes
                await self._proxy.host_ports(pod_uid, "", ())
            await asyncio.to_thread(_remove_link, found.interface)
            del self._state.attachments[pod_uid]
            self._state.ports.pop(pod_uid, None)
            await asyncio.to_thread(_save, self._path, self._state)

    async def keep_only(self, pod_uids: frozenset[str]) -> None:
        for uid in [uid for uid in self._state.attachments if uid not in pod_uids]:
            await self.detach(uid)

    def attachment(self, pod_uid: str) -> Attachment | None:
        return self._state.attachments.get(pod_uid)

    def _started(self) -> tuple[ipaddress.IPv4Network, ipaddress.IPv4Address]:
        if self._range is None:
            raise RuntimeError("the pod network has no range yet")
        return self._range, self._range[1]

    def _free(self) -> str:
        network, gateway = self._started()
        taken = {ip for found in self._state.attachments.values() for ip in found.ips}
        for address in network.hosts():
            if address != gateway and str(address) not in taken:
                return str(address)
        raise AddressesExhausted(f"no free address in {network}")

    async def _publish(self, uid: str, found: Attachment) -> None:
        if self._proxy is None:
            return
        ports = [port for port in self._state.ports.get(uid, ()) if port.host_port]
        await self._proxy.host_ports(uid, found.ips[0], ports)

    def _make_bridge(self) -> None:
        network, gateway = self._started()
        with IPRoute() as route:
            if not route.link_lookup(ifname=self._bridge):
                route.link("add", ifname=self._bridge, kind="bridge")
            index = route.link_lookup(ifname=self._bridge)[0]
            # A bridge without an address of its own takes that of a port: it would change under the pods' feet.
            route.link("set", index=index, mtu=self._mtu, address=hardware_address(str(gateway)), state="up")
            with _already_there():
                route.addr("add", index=index, address=str(gateway), prefixlen=network.prefixlen)
            with contextlib.suppress(IndexError):
                route.link("set", index=route.link_lookup(ifname="lo")[0], state="up")
            if self._service_cidr:  # without a default route the node itself would find no way to a service
                route.route("replace", dst=self._service_cidr, oif=index, prefsrc=str(gateway))
        for name, value in BRIDGE_SYSCTLS.items():
            Path(f"/proc/sys/net/ipv4/conf/{self._bridge}/{name}").write_text(value)
        for name, wanted in SYSCTLS.items():
            path = Path("/proc/sys") / name
            present = path.read_text().strip()
            if present != wanted:
                self._state.sysctls.setdefault(name, present)
                path.write_text(wanted)

    def _wire(self, found: Attachment) -> None:
        _, gateway = self._started()
        with IPRoute() as route:
            bridge = route.link_lookup(ifname=self._bridge)[0]
            present = route.link_lookup(ifname=found.interface)
            if not present:
                with open(found.netns) as namespace:
                    peer = {
                        "ifname": "eth0",
                        "net_ns_fd": namespace.fileno(),
                        "mtu": self._mtu,
                        "address": hardware_address(found.ips[0]),
                    }
                    route.link("add", ifname=found.interface, kind="veth", mtu=self._mtu, peer=peer)
                present = route.link_lookup(ifname=found.interface)
            route.link("set", index=present[0], master=bridge, state="up")
            # Where bridged packets pass the rules (br_netfilter), a pod's own service leads back out of its port.
            route.brport("set", index=present[0], mode=1)
        within(found.netns, lambda: _configure(found.ips[0], str(gateway)))


def hardware_address(ip: str) -> str:
    """The same for every pod that has this address, so that no neighbour remembers another one for it."""
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(ip).packed)


def _configure(ip: str, gateway: str) -> None:
    """A host address, and everything by way of the node, also neighbours on its bridge: answers of a pod behind a
    service must come back through the node, whether or not bridged packets pass its rules (br_netfilter)."""
    for scope in ("all", "eth0"):  # the node will say that there is a shorter way
        Path(f"/proc/sys/net/ipv4/conf/{scope}/accept_redirects").write_text("0")
    with IPRoute() as route:
        route.link("set", index=route.link_lookup(ifname="lo")[0], state="up")
        index = route.link_lookup(ifname="eth0")[0]
        route.link("set", index=index, state="up")
        with _already_there():
            route.addr("add", index=index, address=ip, prefixlen=32)
        with _already_there():
            route.route("add", dst=f"{gateway}/32", oif=index, scope=253)
        with _already_there():
            route.route("add", dst="0.0.0.0/0", gateway=gateway)


@contextlib.contextmanager
def _already_there() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code != 17:
            raise


def _remove_link(name: str) -> None:
    with IPRoute() as route:
        for index in route.link_lookup(ifname=name):
            route.link("del", index=index)


def _load(path: Path) -> State:
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return State()


def _save(path: Path, state: State) -> None:
    write_private(path, msgspec.json.encode(state))


async def cleanup(state_dir: Path, bridge: str = "mini0", vxlan: str = "mini-vxlan") -> None:
    """Take back from the host exactly what was made: links, the table, changed sysctls."""
    from minikube.node.network.nft import TABLE, Nft

    path = state_dir / "network.json"
    state = await asyncio.to_thread(_load, path)
    for name in [*(found.interface for found in state.attachments.values()), vxlan, bridge]:
        await asyncio.to_thread(_remove_link, name)
    await Nft().run(f"add table ip {TABLE}\ndelete table ip {TABLE}\n")
    for name, before in state.sysctls.items():
        (Path("/proc/sys") / name).write_text(before)
    path.unlink(missing_ok=True)
