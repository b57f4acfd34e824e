"""discovery.k8s.io: endpoint slices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.discovery_v1 import EndpointSlice
from minikube.resources.declare import UNSET, columns, declare, since, some
from minikube.resources.rules.endpoint import EndpointSliceRules


def slice_row(of: EndpointSlice, now: datetime) -> Sequence[Any]:
    ports = ["*" if port.port is None else str(port.port) for port in of.ports]
    addresses = [address for endpoint in of.endpoints for address in endpoint.addresses]
    return of.metadata.name, of.address_type, some(ports, 3, UNSET), some(addresses, 3, UNSET), since(of, now)


KINDS = (
    declare(
        EndpointSlice,
        counted=True,
        strategy=EndpointSliceRules(),
        columns=columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
        row=slice_row,
    ),
)
