"""Other nodes' pods over VXLAN; what a peer needs is derived from its Node object, nothing is exchanged."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

from minikube.node.network.base import Peer
from minikube.node.network.netlink import IPRoute, NetlinkError
from minikube.node.network.peers import PORT

NTF_SELF = 0x02
"""The entry is the VXLAN device's own, not its bridge's: without it the kernel answers EOPNOTSUPP."""
NUD_PERMANENT = 0x80


def vtep_mac(pod_cidr: str) -> str:
    """A locally administered MAC out of the node's range of pods (addresses of nodes may be there twice: NAT)."""
    return "0a:42:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Network(pod_cidr)[0].packed)


class VxlanOverlay:
    def __init__(
        self, node_ip: str, pod_cidr: str, *, name: str = "mini-vxlan", vni: int = 1, mtu: int = 1450
    ) -> None:
        self._node_ip, self._pod_cidr = node_ip, pod_cidr
        self._address = str(ipaddress.IPv4Network(pod_cidr)[0])
        self._name = name
        self._vni = vni
        self._mtu = mtu
        self._held: frozenset[Peer] | None = None

    async def apply(self, peers: Sequence[Peer]) -> None:
        wanted = frozenset(peer for peer in peers if peer.pod_cidr != self._pod_cidr)
        if wanted != self._held:
            await asyncio.to_thread(self._apply, wanted)
            self._held = wanted

    def _there(self, route: IPRoute) -> bool:
        """Whether the device is; one of another address (the node's has changed) is taken away."""
        for index in route.link_lookup(ifname=self._name):
            link = route.get_links(index)[0]
            data = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
            ours = data is not None and data.get_attr("IFLA_VXLAN_LOCAL") == self._node_ip
            if ours and link.get_attr("IFLA_ADDRESS") == vtep_mac(self._pod_cidr):
                return True
            route.link("del", index=index)
        return False

    def _apply(self, peers: frozenset[Peer]) -> None:
        with IPRoute() as route:
            if not self._there(route):
                route.link(
                    "add", ifname=self._name, kind="vxlan", vxlan_id=self._vni, vxlan_local=self._node_ip,
                    vxlan_learning=0, vxlan_port=PORT, address=vtep_mac(self._pod_cidr),
                )  # fmt: skip
            index = route.link_lookup(ifname=self._name)[0]
            route.link("set", index=index, mtu=self._mtu, state="up")
            try:
                route.addr("add", index=index, address=self._address, prefixlen=32)
            except NetlinkError as error:
                if error.code != 17:
                    raise
            wanted = {peer.pod_cidr for peer in peers}
            for found in list(route.get_routes(family=socket.AF_INET, oif=index)):
                target = f"{found.get_attr('RTA_DST')}/{found['dst_len']}"
                if found["table"] == 254 and target not in wanted:
                    route.route("del", dst=target, oif=index)
            for peer in peers:
                mac = vtep_mac(peer.pod_cidr)
                gateway = str(ipaddress.IPv4Network(peer.pod_cidr)[0])
                route.neigh("replace", dst=gateway, lladdr=mac, ifindex=index, state=NUD_PERMANENT)
                route.fdb(
                    "replace", ifindex=index, lladdr=mac, dst=peer.address, flags=NTF_SELF, state=NUD_PERMANENT
                )
                route.route("replace", dst=peer.pod_cidr, gateway=gateway, oif=index, flags=4)
