"""What the node needs of the network: addresses for pods, rules for services, answers for names.

Whole desired state goes in, the difference is found inside; every call is idempotent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from minikube.node.runtime.base import PortMapping


class Attachment(msgspec.Struct, frozen=True):
    """A pod's place in the network; kept in the state directory so that it survives the agent."""

    pod_uid: str
    ips: tuple[str, ...]
    netns: str
    interface: str
    """The host's end of the veth pair."""


class PodNetwork(Protocol):
    async def start(self, pod_cidr: str) -> None:
        """Bridge, routes, forwarding and masquerade for this node's range. Idempotent; adopts what is there."""
        ...

    async def attach(self, pod_uid: str, netns: str, *, ports: Sequence[PortMapping] = ()) -> Attachment:
        """Interface, address, routes and hostPorts; the same answer when asked twice. Raises AddressesExhausted."""
        ...

    async def detach(self, pod_uid: str) -> None:
        """Frees address and rules; the interface goes with its namespace."""
        ...

    async def keep_only(self, pod_uids: frozenset[str]) -> None:
        """Detach every pod that is not in `pod_uids`."""
        ...

    def attachment(self, pod_uid: str) -> Attachment | None: ...


class Peer(msgspec.Struct, frozen=True):
    """Another node: where its pod range is reached."""

    name: str
    address: str
    pod_cidr: str


class Backend(msgspec.Struct, frozen=True, order=True):
    ip: str
    port: int
    local: bool = False
    """A pod of this node."""


class ServicePort(msgspec.Struct, frozen=True):
    """One port of one service, as the proxy programs it."""

    namespace: str
    service: str
    port_name: str
    protocol: str
    cluster_ips: tuple[str, ...]
    port: int
    backends: tuple[Backend, ...]
    """The ready ones."""
    draining: tuple[Backend, ...] = ()
    """Those that end but still serve: they get what no ready one is there for (KEP-1669)."""
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    """External IPs and load-balancer addresses alike."""
    affinity_seconds: int = 0
    """0: no session affinity."""
    internal_local: bool = False
    external_local: bool = False
    source_ranges: tuple[str, ...] = ()
    health_check_node_port: int = 0
    ready_here: tuple[str, ...] = ()
    """Addresses of ready endpoints on this node."""

    @property
    def everywhere(self) -> tuple[Backend, ...]:
        """Who serves, on any node."""
        return self.backends or self.draining

    @property
    def here(self) -> tuple[Backend, ...]:
        """Who serves on this node: all that the local traffic policies know."""
        ready = tuple(backend for backend in self.backends if backend.local)
        return ready or tuple(backend for backend in self.draining if backend.local)


class ServiceProxy(Protocol):
    async def start(self) -> None:
        """Our one nftables table, from scratch or adopted."""
        ...

    async def apply(self, ports: Sequence[ServicePort]) -> None:
        """Exactly these are served afterwards; only what differs is sent, in one transaction."""
        ...


class AddressesExhausted(Exception):
    """No free address is left in the node's pod range."""
