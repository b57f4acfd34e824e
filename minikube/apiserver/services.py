"""From a Service to one of its ready endpoints: how the API server reaches what runs in the cluster."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from minikube.api.core_v1 import Service
from minikube.api.discovery_v1 import EndpointSlice
from minikube.api.well_known import SERVICE_NAME
from minikube.client.base import Informers
from minikube.errors import NotFound, ServiceUnavailable


class Endpoint(msgspec.Struct, frozen=True):
    """`node` may be empty: nobody knows where it is."""

    node: str
    ip: str
    port: int


class Services:
    def __init__(self, informers: Informers) -> None:
        self._services = informers.of(Service).lister
        self._slices = informers.of(EndpointSlice).lister

    def choose(self, namespace: str, name: str, port: str, *, asked: str = "") -> Endpoint:
        """Any ready endpoint of a port given by number or name; `asked` is how a message calls the whole.
        Raises NotFound, ServiceUnavailable."""
        service = self._services.get(name, namespace)
        if service is None:
            raise NotFound.of("services", "", name)
        endpoints = list(self._ready(namespace, name, port_name(service, port)))
        if not endpoints:
            raise ServiceUnavailable(f'no endpoints available for service "{asked or name}"')
        return random.choice(endpoints)

    def _ready(self, namespace: str, service: str, port: str) -> Iterator[Endpoint]:
        for found in self._slices.list(namespace):
            if found.metadata.labels.get(SERVICE_NAME) != service:
                continue
            number = next((each.port for each in found.ports if each.name == port and each.port), None)
            for endpoint in found.endpoints:
                ready = endpoint.conditions is None or endpoint.conditions.ready is not False
                if ready and endpoint.addresses and number:
                    yield Endpoint(endpoint.node_name, endpoint.addresses[0], number)


def port_name(service: Service, port: str) -> str:
    """Of a port given by number or name. Raises ServiceUnavailable."""
    if not port.isdigit():
        return port
    for each in service.spec.ports:
        if each.port == int(port):
            return each.name
    raise ServiceUnavailable(f'no service port {port} found for service "{service.metadata.name}"')
