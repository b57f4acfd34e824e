"""Where other nodes' pods are reached, when some nodes are behind NAT.

An agent learns from its servers from which address it comes. When none of them sees one of its machine's own there
is NAT between, and the node says so: in an annotation, by which nodes that share a NAT know each other, and in a
condition and an event for people. Nodes on the same side reach each other at their internal addresses, others at
the external one (`--node-external-ip`), to which somebody has to forward the overlay's UDP port.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence

from minikube.api.core_v1 import Node
from minikube.node.network.base import Peer

SEEN_FROM = "minikube.io/behind-nat-at"
"""The annotation of a node behind NAT: the address from which servers see it."""
PORT = 8472
"""Of the overlay, UDP."""


def is_own(address: str) -> bool:
    """Whether this machine has the address: only then can a socket be bound to it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


def outside(sightings: Mapping[str, str]) -> str:
    """The address at which this machine is seen from outside its NAT; empty: there is none. `sightings`: by server
    (a relay in front of one sees to it that another address is seen there)."""
    seen = [address for address in sightings.values() if address]
    return "" if any(is_own(address) for address in seen) else next(iter(seen), "")


def advice(seen_from: str, external: str) -> str:
    """What to tell of a node that servers see at an address which it does not have; empty: all is well."""
    if not seen_from or external:
        return ""
    return (
        f"this machine is behind NAT: servers see it at {seen_from}, which is none of its addresses; pods of nodes "
        "elsewhere do not reach pods here, nor the other way round. Forward UDP port "
        f"{PORT} to it and set --node-external-ip to the address at which it is forwarded"
    )


def peers(nodes: Iterable[Node], own: str) -> Sequence[Peer]:
    """All the nodes but the one of this name, as that one reaches them (IPv4)."""
    every = {node.metadata.name: node for node in nodes}
    here = _side(every[own]) if own in every else ""
    others = (_peer(node, here) for name, node in every.items() if name != own)
    return [peer for peer in others if peer is not None]


def _peer(node: Node, here: str) -> Peer | None:
    internal, external = _address(node, "InternalIP"), _address(node, "ExternalIP")
    address = internal if _side(node) == here else external or internal
    return Peer(node.metadata.name, address, node.spec.pod_cidr) if address and node.spec.pod_cidr else None


def _side(node: Node) -> str:
    return node.metadata.annotations.get(SEEN_FROM, "")


def _address(node: Node, type: str) -> str:
    return next((a.address for a in node.status.addresses if a.type == type and ":" not in a.address), "")
