"""What endpoints, endpoint slices and leases may say (ValidateEndpoints, discovery and coordination validation)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from minikube.api.coordination_v1 import Lease
from minikube.api.core_v1 import EndpointPort, Endpoints, EndpointSubset
from minikube.api.discovery_v1 import EndpointSlice
from minikube.api.names import (
    ip_problems,
    label_problems,
    label_value_problems,
    port_number_problems,
    qualified_name_problems,
    subdomain_problems,
)
from minikube.errors import FieldError
from minikube.resources.base import Strategy
from minikube.resources.rules.addresses import not_special
from minikube.resources.rules.containers import PROTOCOLS
from minikube.resources.rules.invalid import (
    at,
    duplicate,
    immutable,
    invalid,
    not_supported,
    one_of,
    required,
    too_many,
)
from minikube.resources.warnings.kinds import endpoint_slice_warnings, endpoints_warnings

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MOST_ENDPOINTS, _MOST_ADDRESSES, _MOST_PORTS, _MOST_HINTS = 1000, 100, 20_000, 8


def _plain_ip(text: str, path: str) -> Iterator[FieldError]:
    """An address that traffic can be sent to (ValidateEndpointIP)."""
    wrong = list(ip_problems(text))
    for why in wrong:
        yield invalid(path, text, why)
    if not wrong:
        yield from not_special(text, path)


class EndpointsRules(Strategy[Endpoints]):
    def validate(self, new: Endpoints, old: Endpoints | None) -> Iterator[FieldError]:
        for index, subset in enumerate(new.subsets):
            yield from _subset(subset, at("subsets", index))

    def warnings(self, new: Endpoints, old: Endpoints | None) -> Iterator[str]:
        yield from endpoints_warnings(new)


def _subset(subset: EndpointSubset, path: str) -> Iterator[FieldError]:
    if not subset.addresses and not subset.not_ready_addresses:
        yield required(path, "must specify `addresses` or `notReadyAddresses`")
    for name, addresses in (("addresses", subset.addresses), ("notReadyAddresses", subset.not_ready_addresses)):
        for index, one in enumerate(addresses):
            where = at(f"{path}.{name}", index)
            yield from _plain_ip(one.ip, f"{where}.ip")
            for why in label_problems(one.hostname) if one.hostname else ():
                yield invalid(f"{where}.hostname", one.hostname, why)
            for why in subdomain_problems(one.node_name) if one.node_name else ():
                yield invalid(f"{where}.nodeName", one.node_name, why)
    for index, port in enumerate(subset.ports):
        yield from _endpoint_port(port, at(f"{path}.ports", index), alone=len(subset.ports) == 1)


def _endpoint_port(port: EndpointPort, path: str, *, alone: bool) -> Iterator[FieldError]:
    if not port.name:
        if not alone:
            yield required(f"{path}.name")
    else:
        for why in label_problems(port.name):
            yield invalid(f"{path}.name", port.name, why)
    for why in port_number_problems(port.port):
        yield invalid(f"{path}.port", port.port, why)
    yield from one_of(f"{path}.protocol", port.protocol, PROTOCOLS)


class EndpointSliceRules(Strategy[EndpointSlice]):
    def validate(self, new: EndpointSlice, old: EndpointSlice | None) -> Iterator[FieldError]:
        if not new.address_type:
            yield required("addressType")
        elif new.address_type not in _ADDRESS_TYPES:
            yield not_supported("addressType", new.address_type, _ADDRESS_TYPES)
        yield from _slice_endpoints(new)
        if len(new.ports) > _MOST_PORTS:
            yield too_many("ports", len(new.ports), _MOST_PORTS)
        names: set[str] = set()
        for index, port in enumerate(new.ports):
            where = at("ports", index)
            for why in label_problems(port.name) if port.name else ():
                yield invalid(f"{where}.name", port.name, why)
            if port.name in names:
                yield duplicate(f"{where}.name", port.name)
            names.add(port.name)
            yield from one_of(f"{where}.protocol", port.protocol, PROTOCOLS)
            for why in port_number_problems(port.port) if port.port is not None else ():
                yield invalid(f"{where}.port", port.port, why)
            for why in qualified_name_problems(port.app_protocol) if port.app_protocol else ():
                yield invalid(f"{where}.appProtocol", port.app_protocol, why)
        if old is not None:
            yield from immutable("addressType", new.address_type, old.address_type)

    def warnings(self, new: EndpointSlice, old: EndpointSlice | None) -> Iterator[str]:
        yield from endpoint_slice_warnings(new)


def _slice_endpoints(new: EndpointSlice) -> Iterator[FieldError]:
    if len(new.endpoints) > _MOST_ENDPOINTS:
        yield too_many("endpoints", len(new.endpoints), _MOST_ENDPOINTS)
        return
    for index, endpoint in enumerate(new.endpoints):
        where = at("endpoints", index)
        if not endpoint.addresses:
            yield required(f"{where}.addresses", "must contain at least 1 address")
        elif len(endpoint.addresses) > _MOST_ADDRESSES:
            yield too_many(f"{where}.addresses", len(endpoint.addresses), _MOST_ADDRESSES)
        for number, address in enumerate(endpoint.addresses):
            yield from _typed_address(new.address_type, address, at(f"{where}.addresses", number))
        for why in subdomain_problems(endpoint.node_name) if endpoint.node_name else ():
            yield invalid(f"{where}.nodeName", endpoint.node_name, why)
        for why in label_problems(endpoint.hostname) if endpoint.hostname else ():
            yield invalid(f"{where}.hostname", endpoint.hostname, why)
        if endpoint.hints is not None:
            zones = [one.name for one in endpoint.hints.for_zones]
            yield from _hints(zones, f"{where}.hints.forZones", label_value_problems)
            nodes = [one.name for one in endpoint.hints.for_nodes]
            yield from _hints(nodes, f"{where}.hints.forNodes", subdomain_problems)


def _hints(names: Sequence[str], path: str, problems: Callable[[str], Iterator[str]]) -> Iterator[FieldError]:
    if len(names) > _MOST_HINTS:
        yield too_many(path, len(names), _MOST_HINTS)
        return
    for index, name in enumerate(names):
        where = f"{at(path, index)}.name"
        if name in names[:index]:
            yield duplicate(where, name)
        for why in problems(name):
            yield invalid(where, name, why)


def _typed_address(type: str, address: str, path: str) -> Iterator[FieldError]:
    if type == "FQDN":
        for why in subdomain_problems(address):
            yield invalid(path, address, why)
        return
    yield from _plain_ip(address, path)
    six = ":" in address
    if type == "IPv4" and six:
        yield invalid(path, address, "must be an IPv4 address")
    elif type == "IPv6" and not six:
        yield invalid(path, address, "must be an IPv6 address")


class LeaseRules(Strategy[Lease]):
    def validate(self, new: Lease, old: Lease | None) -> Iterator[FieldError]:
        spec = new.spec
        if spec.lease_duration_seconds is not None and spec.lease_duration_seconds <= 0:
            yield invalid("spec.leaseDurationSeconds", spec.lease_duration_seconds, "must be greater than 0")
        if spec.lease_transitions is not None and spec.lease_transitions < 0:
            yield invalid("spec.leaseTransitions", spec.lease_transitions, "must be greater than or equal to 0")
        if spec.preferred_holder and not spec.strategy:
            yield invalid(
                "spec.preferredHolder", spec.preferred_holder, "may only be specified if `strategy` is defined"
            )
