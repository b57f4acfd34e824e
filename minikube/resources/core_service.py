"""Services and their endpoints in the core group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.core_v1 import Endpoints, Service
from minikube.resources.declare import NONE, columns, declare, joined, labels, since, some
from minikube.resources.rules.endpoint import EndpointsRules
from minikube.resources.rules.service import ServiceRules


def _external(service: Service) -> str:
    spec = service.spec
    if spec.type == "ExternalName":
        return spec.external_name
    found: list[str] = []
    if spec.type == "LoadBalancer":
        balancer = service.status.load_balancer
        found = [one.ip or one.hostname for one in (balancer.ingress if balancer else ())]
    return joined([*found, *spec.external_ips], "<pending>" if spec.type == "LoadBalancer" else NONE)


def _ports(service: Service) -> str:
    return joined(
        f"{one.port}:{one.node_port}/{one.protocol}" if one.node_port else f"{one.port}/{one.protocol}"
        for one in service.spec.ports
    )


def service_row(service: Service, now: datetime) -> Sequence[Any]:
    spec = service.spec
    address = spec.cluster_ips[0] if spec.cluster_ips else spec.cluster_ip or NONE
    return (
        service.metadata.name,
        spec.type,
        address,
        _external(service),
        _ports(service),
        since(service, now),
        labels(spec.selector),
    )


def _endpoints(endpoints: Endpoints) -> str:
    found: list[str] = []
    for subset in endpoints.subsets:
        for address in subset.addresses:
            host = f"[{address.ip}]" if ":" in address.ip else address.ip
            found += [f"{host}:{port.port}" for port in subset.ports] or [address.ip]
    return some(found, 3)


def endpoints_row(endpoints: Endpoints, now: datetime) -> Sequence[Any]:
    return endpoints.metadata.name, _endpoints(endpoints), since(endpoints, now)


KINDS = (
    declare(
        Service,
        create_on_update=True,
        strategy=ServiceRules(),
        short_names=("svc",),
        categories=("all",),
        status=True,
        subresources=("proxy",),
        columns=columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"),
        row=service_row,
    ),
    declare(
        Endpoints,
        deprecated="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        create_on_update=True,
        strategy=EndpointsRules(),
        short_names=("ep",),
        columns=columns("Name", "Endpoints", "Age"),
        row=endpoints_row,
    ),
)
