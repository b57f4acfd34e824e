"""From Services and EndpointSlices to what the proxy programs and health checks tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from minikube.api.core_v1 import Service
from minikube.api.core_v1 import ServicePort as Port
from minikube.api.discovery_v1 import EndpointSlice
from minikube.api.well_known import SERVICE_NAME
from minikube.client.base import Informers
from minikube.node.network.base import Backend, ServicePort, ServiceProxy
from minikube.node.network.service_health import ServiceHealth

NOT_OURS = frozenset({"service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"})
"""Labels that tell kube-proxy to keep away, whatever their value."""


def service_ports(
    services: Iterable[Service], slices: Iterable[EndpointSlice], node_name: str
) -> tuple[ServicePort, ...]:
    """Every proxied port of every service; headless and ExternalName ones have none, and those that are labelled as
    headless or as another proxy's."""
    by_service: dict[tuple[str, str], list[EndpointSlice]] = {}
    for found in slices:
        if NOT_OURS & found.metadata.labels.keys():
            continue
        owner = found.metadata.labels.get(SERVICE_NAME)
        if owner and found.address_type == "IPv4":
            by_service.setdefault((found.metadata.namespace, owner), []).append(found)
    result: list[ServicePort] = []
    for service in services:
        spec = service.spec
        addresses = tuple(a for a in spec.cluster_ips or (spec.cluster_ip,) if a and a != "None" and ":" not in a)
        if spec.type == "ExternalName" or not addresses or NOT_OURS & service.metadata.labels.keys():
            continue
        mine = by_service.get((service.metadata.namespace, service.metadata.name), [])
        result += (_port(service, port, addresses, mine, node_name) for port in spec.ports)
    return tuple(result)


def _port(
    service: Service, port: Port, addresses: tuple[str, ...], slices: list[EndpointSlice], node_name: str
) -> ServicePort:
    spec = service.spec
    balancer = service.status.load_balancer
    outside = list(spec.external_ips)
    if balancer is not None:
        outside += [i.ip for i in balancer.ingress if i.ip and i.ip_mode != "Proxy"]
    affinity = 0
    if spec.session_affinity == "ClientIP":
        config = spec.session_affinity_config
        affinity = (config and config.client_ip and config.client_ip.timeout_seconds) or 10800
    ready, draining = _backends(port, slices, node_name)
    return ServicePort(
        namespace=service.metadata.namespace,
        service=service.metadata.name,
        port_name=port.name,
        protocol=port.protocol or "TCP",
        cluster_ips=addresses,
        port=port.port,
        backends=ready,
        draining=draining,
        node_port=port.node_port or 0,
        external_ips=tuple(a for a in outside if ":" not in a),
        affinity_seconds=affinity,
        internal_local=spec.internal_traffic_policy == "Local",
        external_local=spec.external_traffic_policy == "Local",
        source_ranges=tuple(r.strip() for r in spec.load_balancer_source_ranges if ":" not in r),
        health_check_node_port=spec.health_check_node_port or 0,
        ready_here=_ready_here(slices, node_name) if spec.health_check_node_port else (),
    )


def _ready_here(slices: list[EndpointSlice], node_name: str) -> tuple[str, ...]:
    ready = {
        address
        for found in slices
        for endpoint in found.endpoints
        if endpoint.node_name == node_name
        and (endpoint.conditions is None or endpoint.conditions.ready is not False)
        for address in endpoint.addresses
    }
    return tuple(sorted(ready))


def _backends(
    port: Port, slices: list[EndpointSlice], node_name: str
) -> tuple[tuple[Backend, ...], tuple[Backend, ...]]:
    """(the ready ones, those that still serve while they terminate)."""
    ready: set[Backend] = set()
    terminating: set[Backend] = set()
    for found in slices:
        for endpoint_port in found.ports:
            if endpoint_port.name != port.name or endpoint_port.port is None:
                continue
            if (endpoint_port.protocol or "TCP") != (port.protocol or "TCP"):
                continue
            for endpoint in found.endpoints:
                backends = {
                    Backend(ip, endpoint_port.port, endpoint.node_name == node_name) for ip in endpoint.addresses
                }
                conditions = endpoint.conditions
                if conditions is None or conditions.ready is None or conditions.ready:
                    ready |= backends
                elif conditions.serving and conditions.terminating:
                    terminating |= backends
    return tuple(sorted(ready)), tuple(sorted(terminating - ready))


class ServiceSync:
    """Hands the proxy the whole picture after every change, a burst of changes at once."""

    def __init__(
        self,
        informers: Informers,
        proxy: ServiceProxy,
        health: ServiceHealth,
        node_name: str,
        *,
        settle: float = 0.05,
    ) -> None:
        self._services = informers.of(Service)
        self._slices = informers.of(EndpointSlice)
        self._proxy, self._health = proxy, health
        self._node_name = node_name
        self._settle = settle
        self._changed = asyncio.Event()
        self._services.add_handler(self._wake)
        self._slices.add_handler(self._wake)

    def _wake(self, _old: object, _new: object) -> None:
        self._changed.set()

    async def run(self) -> None:
        await self._services.wait_synced()
        await self._slices.wait_synced()
        self._changed.set()
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._settle)
            self._changed.clear()
            try:
                ports = service_ports(self._services.lister.list(), self._slices.lister.list(), self._node_name)
                await self._proxy.apply(ports)
                await self._health.apply(ports)
            except BaseException:
                self._changed.set()
                raise
