"""What drivers and the scheduler may say of a resource claim (validateResourceClaimStatusUpdate)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from functools import partial

from minikube.api.resource_v1 import (
    AllocatedDeviceStatus,
    AllocationResult,
    DeviceAllocationConfiguration,
    DeviceAllocationResult,
    DeviceRequestAllocationResult,
    NetworkDeviceData,
    ResourceClaim,
    ResourceClaimConsumerReference,
    ResourceClaimStatus,
)
from minikube.errors import FieldError
from minikube.resources.rules.conditions import conditions
from minikube.resources.rules.devices import (
    MOST_CONFIGS,
    MOST_REQUESTS,
    binding,
    distinct,
    each,
    label,
    opaque,
    pool,
    raw_object,
    share,
    skipped_operations,
    toleration,
)
from minikube.resources.rules.invalid import at, forbidden, immutable, invalid, one_of, required, too_long, too_many
from minikube.resources.rules.placement import node_selector
from minikube.resources.rules.volumes import csi_driver_name

_MOST_CONSUMERS, _MOST_RESULTS, _MOST_CONDITIONS, _MOST_IPS = 256, 32, 8, 16
_LONGEST_DATA, _LONGEST_INTERFACE, _LONGEST_HARDWARE = 10 * 1024, 256, 128
Reference = Callable[[str, str], Iterator[FieldError]]
"""Checks a reference to a request of the claim."""
Device = AllocatedDeviceStatus | DeviceRequestAllocationResult


def claim_status(new: ResourceClaim, old: ResourceClaimStatus, reference: Reference) -> Iterator[FieldError]:
    status = new.status
    yield from distinct(status.reserved_for, "status.reservedFor", _MOST_CONSUMERS, _consumer, _uid)
    results = status.allocation.devices.results if status.allocation and status.allocation.devices else ()
    allocated = frozenset(_identity(one) for one in results)
    yield from distinct(status.devices, "status.devices", -1, partial(_device, allocated=allocated), _identity)
    if status.reserved_for and status.allocation is None:
        yield forbidden("status.reservedFor", "may not be specified when `allocated` is not set")
    elif new.metadata.deletion_timestamp and set(status.reserved_for) - set(old.reserved_for):
        why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        yield forbidden("status.reservedFor", why)
    if status.allocation is not None and old.allocation is not None:
        yield from immutable("status.allocation", status.allocation, old.allocation)
    elif status.allocation is not None:
        yield from _allocation(status.allocation, "status.allocation", reference)


def _uid(one: ResourceClaimConsumerReference) -> str:
    return one.uid


def _identity(one: Device) -> str:
    parts = (one.driver, one.pool, one.device, one.share_id)
    return "/".join(parts if one.share_id else parts[:3])


def _consumer(one: ResourceClaimConsumerReference, path: str) -> Iterator[FieldError]:
    for name, value in (("resource", one.resource), ("name", one.name), ("uid", one.uid)):
        if not value:
            yield required(f"{path}.{name}")


def _named(one: Device, path: str) -> Iterator[FieldError]:
    yield from csi_driver_name(one.driver, f"{path}.driver")
    yield from pool(one.pool, f"{path}.pool")
    yield from label(one.device, f"{path}.device")
    if one.share_id:
        yield from share(one.share_id, f"{path}.shareID")


def _device(device: AllocatedDeviceStatus, path: str, allocated: frozenset[str]) -> Iterator[FieldError]:
    yield from _named(device, path)
    if _identity(device) not in allocated:
        yield invalid(path, _identity(device), "must be an allocated device in the claim")
    if len(device.conditions) > _MOST_CONDITIONS:
        yield too_many(f"{path}.conditions", len(device.conditions), _MOST_CONDITIONS)
    yield from conditions(device.conditions, f"{path}.conditions")
    if device.data is not None:
        yield from raw_object(device.data, f"{path}.data", _LONGEST_DATA)
    if device.network_data is not None:
        yield from _network(device.network_data, f"{path}.networkData")


def _network(data: NetworkDeviceData, path: str) -> Iterator[FieldError]:
    if len(data.interface_name.encode()) > _LONGEST_INTERFACE:
        yield too_long(f"{path}.interfaceName", _LONGEST_INTERFACE)
    if len(data.hardware_address.encode()) > _LONGEST_HARDWARE:
        yield too_long(f"{path}.hardwareAddress", _LONGEST_HARDWARE)
    yield from distinct(data.ips, f"{path}.ips", _MOST_IPS, _interface_address, str)


def _interface_address(address: str, path: str) -> Iterator[FieldError]:
    try:
        canonical = ipaddress.ip_interface(address) if "/" in address else None
    except ValueError:
        canonical = None
    if canonical is None:
        why = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        yield invalid(path, address, why)
    elif str(canonical) != address:
        yield invalid(path, address, f'must be in canonical form ("{canonical}")')


def _allocation(allocation: AllocationResult, path: str, reference: Reference) -> Iterator[FieldError]:
    devices, where = allocation.devices or DeviceAllocationResult(), f"{path}.devices"
    yield from each(devices.results, f"{where}.results", _MOST_RESULTS, partial(_result, reference=reference))
    check = partial(_configuration, reference=reference)
    yield from each(devices.config, f"{where}.config", 2 * MOST_CONFIGS, check)
    if allocation.node_selector is not None:
        yield from node_selector(allocation.node_selector, f"{path}.nodeSelector")


def _result(one: DeviceRequestAllocationResult, path: str, reference: Reference) -> Iterator[FieldError]:
    yield from reference(one.request, f"{path}.request")
    yield from _named(one, path)
    yield from binding(one.binding_conditions, one.binding_failure_conditions, path)
    for index, tolerated in enumerate(one.tolerations):
        yield from toleration(tolerated, at(f"{path}.tolerations", index))
    yield from skipped_operations(one.skip_node_operations, f"{path}.skipNodeOperations")


def _configuration(config: DeviceAllocationConfiguration, path: str, reference: Reference) -> Iterator[FieldError]:
    yield from one_of(f"{path}.source", config.source, ("FromClaim", "FromClass"))
    yield from distinct(config.requests, f"{path}.requests", MOST_REQUESTS, reference, str)
    yield from opaque(config.opaque, f"{path}.opaque")
