"""Endpoints that people write for a Service without selector, mirrored into EndpointSlices.

Rules: pkg/controller/endpointslicemirroring.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import ClassVar

from minikube.api.core_v1 import EndpointAddress, Endpoints, EndpointSubset, Service
from minikube.api.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from minikube.api.meta import Key, ObjectMeta
from minikube.api.owners import controller_reference
from minikube.api.well_known import SERVICE_NAME
from minikube.controllers.base import After, Context, Watch, itself
from minikube.controllers.slices import (
    HEADLESS,
    IPV4,
    IPV6,
    MANAGED_BY,
    Group,
    carry_out,
    plan_slices,
)

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
NOT_COPIED = (SKIP, "endpoints.kubernetes.io/managed-by", HEADLESS)
MOST_IN_A_SUBSET = 1000


def mirrored(endpoints: Endpoints) -> bool:
    """Not what a controller keeps, nor a lock of an old leader election."""
    meta = endpoints.metadata
    return meta.labels.get(SKIP) != "true" and LEADER not in meta.annotations and meta.deletion_timestamp is None


def groups_of(endpoints: Endpoints) -> list[Group]:
    found: dict[tuple[str, tuple[EndpointPort, ...]], dict[str, Endpoint]] = {}
    for subset in endpoints.subsets:
        ports = tuple(
            EndpointPort(name=one.name, port=one.port, protocol=one.protocol, app_protocol=one.app_protocol)
            for one in subset.ports
        )
        for address, ready in _addresses(subset):
            family = IPV6 if ipaddress.ip_address(address.ip).version == 6 else IPV4
            found.setdefault((family, ports), {}).setdefault(address.ip, _endpoint(address, ready=ready))
    return [Group(family, ports, tuple(inside.values())) for (family, ports), inside in found.items()]


def _addresses(subset: EndpointSubset) -> list[tuple[EndpointAddress, bool]]:
    every = [*((one, True) for one in subset.addresses), *((one, False) for one in subset.not_ready_addresses)]
    return every[:MOST_IN_A_SUBSET]


def _endpoint(address: EndpointAddress, *, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )


def meta_of(endpoints: Endpoints) -> ObjectMeta:
    meta = endpoints.metadata
    labels = {key: value for key, value in meta.labels.items() if key not in NOT_COPIED}
    return ObjectMeta(
        generate_name=f"{meta.name}-",
        namespace=meta.namespace,
        labels={**labels, SERVICE_NAME: meta.name, MANAGED_BY: CONTROLLER},
        owner_references=(controller_reference(endpoints),),
    )


class EndpointSliceMirroringController:
    name: ClassVar[str] = "endpointslicemirroring-controller"
    workers: ClassVar[int] = 1
    watches = (
        itself(Endpoints),
        itself(Service),
        Watch(EndpointSlice, lambda slice: _endpoints_of(slice)),
    )

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._endpoints = context.informers.of(Endpoints).lister
        self._services = context.informers.of(Service).lister
        slices = context.informers.of(EndpointSlice)
        slices.add_index("mirror", _mirror)
        self._slices = slices.lister

    async def reconcile(self, key: Key) -> After | None:
        endpoints = self._endpoints.get(key.name, key.namespace)
        service = self._services.get(key.name, key.namespace)
        existing = [
            one
            for one in self._slices.by_index("mirror", f"{key.namespace}/{key.name}")
            if one.metadata.deletion_timestamp is None
        ]
        if endpoints is None or service is None or service.spec.selector or not mirrored(endpoints):
            await carry_out(self._client, plan_slices(existing, [], ObjectMeta()))
            return None
        await carry_out(self._client, plan_slices(existing, groups_of(endpoints), meta_of(endpoints)))
        return None


def _mirror(obj: EndpointSlice) -> Sequence[str]:
    return [f"{key.namespace}/{key.name}" for key in _endpoints_of(obj)]


def _endpoints_of(slice: EndpointSlice) -> Sequence[Key]:
    labels = slice.metadata.labels
    if labels.get(MANAGED_BY) != CONTROLLER or SERVICE_NAME not in labels:
        return []
    return [Key(slice.metadata.namespace, labels[SERVICE_NAME])]
