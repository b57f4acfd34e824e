"""Forgets UDP flows whose backend is gone: a client that keeps its port would go on talking to it for ever."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator

from minikube.node.network.base import Backend, ServicePort
from minikube.node.network.netlink import NetlinkError, NFCTAttrTuple, NFCTSocket
from minikube.node.runtime.base import PortMapping

log = logging.getLogger(__name__)
Flow = tuple[str, int, str]
"""Where the client sends to (address empty for a node port), and the backend that answers ("" for none yet)."""


def stale(before: Iterable[ServicePort], after: Iterable[ServicePort]) -> frozenset[Flow]:
    """Flows to backends that no longer serve, and those that found none before there was the first.

    A backend that ends serves until it has ended.
    """
    old, new = frozenset(_flows(before)), frozenset(_flows(after))
    served = {(address, port) for address, port, backend in new if backend}
    return frozenset(flow for flow in old - new if flow[2] or flow[:2] in served)


def _flows(ports: Iterable[ServicePort]) -> Iterator[Flow]:
    for port in ports:
        if port.protocol != "UDP":
            continue
        places = [(address, port.port) for address in (*port.cluster_ips, *port.external_ips)]
        if port.node_port:
            places.append(("", port.node_port))
        for address, number in places:
            for backend in {each.ip for each in (*port.backends, *port.draining)} or {""}:
                yield address, number, backend


def host_flows(pod_ip: str, ports: Iterable[PortMapping]) -> tuple[ServicePort, ...]:
    """hostPorts of a pod as if they were node ports of a service with that one backend."""
    return tuple(
        ServicePort(
            "", pod_ip, "", port.protocol, (), 0, (Backend(pod_ip, port.container_port),), node_port=port.host_port
        )
        for port in ports
    )


def forget_udp(before: Iterable[ServicePort], after: Iterable[ServicePort]) -> None:
    """Blocking. What the kernel cannot do is logged: it only delays the client."""
    flows = stale(before, after)
    if not flows:
        return
    try:
        with NFCTSocket() as table:
            for entry in list(table.dump(tuple_orig=NFCTAttrTuple(proto=socket.IPPROTO_UDP))):
                original, reply = _tuple(entry, "CTA_TUPLE_ORIG"), _tuple(entry, "CTA_TUPLE_REPLY")
                if original.proto != socket.IPPROTO_UDP:
                    continue
                backend = reply.saddr if reply.saddr != original.daddr else ""
                if {(original.daddr, original.dport, backend), ("", original.dport, backend)} & flows:
                    _delete(table, original)
    except (NetlinkError, OSError) as error:
        log.warning("old UDP flows could not be forgotten: %s", error)


def _delete(table: NFCTSocket, flow: NFCTAttrTuple) -> None:
    try:
        table.entry("del", tuple_orig=flow)
    except NetlinkError as error:
        if error.code != 2:  # it has just expired
            raise


def _tuple(entry: object, name: str) -> NFCTAttrTuple:
    return NFCTAttrTuple.from_netlink(socket.AF_INET, entry.get_attr(name))  # type: ignore[attr-defined]
