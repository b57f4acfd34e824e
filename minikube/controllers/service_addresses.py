"""The ServiceCIDR that services get their addresses from, and an IPAddress for each address that one has.

Rules: pkg/controller/servicecidrs and the ipallocator's IPAddress objects. The addresses themselves are given out
by the registry; what is shown here follows from the services.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import msgspec

from minikube.api.core_v1 import Service
from minikube.api.meta import Key, ObjectMeta
from minikube.api.meta_v1 import Condition
from minikube.api.networking_v1 import (
    IPAddress,
    IPAddressSpec,
    ParentReference,
    ServiceCIDR,
    ServiceCIDRSpec,
    ServiceCIDRStatus,
)
from minikube.api.time import seconds
from minikube.controllers.base import After, Context, Watch
from minikube.errors import AlreadyExists, NotFound

DEFAULT = "kubernetes"
MANAGED_BY, MANAGER = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
FAMILY = "ipaddress.kubernetes.io/ip-family"
READY = "Kubernetes default Service CIDR is ready"


def addresses_of(service: Service) -> Sequence[str]:
    """Not of a headless one."""
    given = service.spec.cluster_ips or (service.spec.cluster_ip,)
    return [one for one in given if one not in ("", "None")]


def address_object(address: str, service: Service) -> IPAddress:
    family = f"IPv{ipaddress.ip_address(address).version}"
    parent = ParentReference(resource="services", namespace=service.metadata.namespace, name=service.metadata.name)
    meta = ObjectMeta(name=address, labels={FAMILY: family, MANAGED_BY: MANAGER})
    return IPAddress(metadata=meta, spec=IPAddressSpec(parent_ref=parent))


class ServiceAddressController:
    """Keys are addresses; `kubernetes` is the ServiceCIDR of that name."""

    name: ClassVar[str] = "service-cidrs-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        services = context.informers.of(Service)
        services.add_index("address", lambda obj: addresses_of(obj))
        self._services = services.lister
        self._addresses = context.informers.of(IPAddress).lister
        self._ranges = context.informers.of(ServiceCIDR).lister
        self.watches = (
            Watch(Service, lambda service: [Key("", one) for one in addresses_of(service)]),
            Watch(IPAddress, lambda one: [Key("", one.metadata.name)] if _ours(one.metadata.labels) else []),
            Watch(ServiceCIDR, lambda one: [Key("", one.metadata.name)] if one.metadata.name == DEFAULT else []),
        )

    async def run(self, enqueue: Callable[[Key], None]) -> None:
        """The default range is there from the start, not only after a change."""
        enqueue(Key("", DEFAULT))

    async def reconcile(self, key: Key) -> After | None:
        if key.name == DEFAULT:
            await self._default_range()
            return None
        services = self._services.by_index("address", key.name)
        known = self._addresses.get(key.name)
        if not services:
            if known is not None and _ours(known.metadata.labels):
                await self._remove(key.name)
            return None
        wanted = address_object(key.name, services[0])
        if known is not None and known.spec != wanted.spec and _ours(known.metadata.labels):
            await self._remove(key.name)
            known = None
        if known is None:
            try:
                await self._context.client.create(wanted)
            except AlreadyExists:
                return None
        return None

    async def _remove(self, name: str) -> None:
        try:
            await self._context.client.delete(IPAddress, name)
        except NotFound:
            return

    async def _default_range(self) -> None:
        client = self._context.client
        found = self._ranges.get(DEFAULT)
        if found is None:
            spec = ServiceCIDRSpec(cidrs=(self._context.settings.service_cidr,))
            try:
                found = await client.create(ServiceCIDR(metadata=ObjectMeta(name=DEFAULT), spec=spec))
            except AlreadyExists:
                return
        if found.metadata.deletion_timestamp is None and not found.status.conditions:
            ready = Condition(
                type="Ready",
                status="True",
                reason="",
                message=READY,
                last_transition_time=seconds(self._context.clock.now()),
            )
            status = ServiceCIDRStatus(conditions=(ready,))
            await client.update(msgspec.structs.replace(found, status=status), subresource="status")


def _ours(labels: Mapping[str, str]) -> bool:
    return labels.get(MANAGED_BY) == MANAGER
