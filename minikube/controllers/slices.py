"""EndpointSlices as a whole: which to make, change and remove so that they hold the wanted endpoints.

Rules: k8s.io/endpointslice reconciler. Endpoints stay in the slice where they are; what is new fills the fullest.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from minikube.api.discovery_v1 import Endpoint, EndpointPort, EndpointSlice
from minikube.api.meta import ObjectMeta
from minikube.client.base import Client
from minikube.errors import NotFound

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
IPV4, IPV6 = "IPv4", "IPv6"
MOST = 100
"""Endpoints in a slice (--max-endpoints-per-slice)."""


class Group(msgspec.Struct, frozen=True):
    """Endpoints that answer on the same ports."""

    address_type: str
    ports: tuple[EndpointPort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()


class SlicePlan(msgspec.Struct, frozen=True):
    create: tuple[EndpointSlice, ...]
    update: tuple[EndpointSlice, ...]
    delete: tuple[EndpointSlice, ...]


def plan_slices(existing: Sequence[EndpointSlice], groups: Sequence[Group], meta: ObjectMeta) -> SlicePlan:
    """`meta`: name, labels and owner of every slice. Labels are exactly these (setEndpointSliceLabels)."""
    create: list[EndpointSlice] = []
    changed: list[tuple[EndpointSlice, EndpointSlice]] = []
    spare = list(existing)
    for group in groups:
        same = [one for one in spare if (one.address_type, one.ports) == (group.address_type, group.ports)]
        spare = [one for one in spare if one not in same]
        for slice, endpoints in _fill(same, group):
            if slice is not None and (endpoints or (not group.endpoints and slice is same[0])):
                changed.append((slice, _with(slice, meta, group, endpoints)))
            elif slice is not None:
                spare.append(slice)
            else:
                made = EndpointSlice(metadata=meta, address_type=group.address_type)
                create.append(_with(made, meta, group, endpoints))
    reused: list[EndpointSlice] = []
    for one in create:
        match = next((old for old in spare if old.address_type == one.address_type), None)
        if match is not None:
            # A slice that is no longer needed becomes the one that is.
            spare.remove(match)
            reused.append(one)
            changed.append((match, _with(match, meta, Group(one.address_type, one.ports), one.endpoints)))
    return SlicePlan(
        create=tuple(one for one in create if not any(one is other for other in reused)),
        update=tuple(new for old, new in changed if new != old),
        delete=tuple(spare),
    )


def _fill(same: Sequence[EndpointSlice], group: Group) -> list[tuple[EndpointSlice | None, list[Endpoint]]]:
    left = {_identity(one): one for one in group.endpoints}
    filled: list[tuple[EndpointSlice | None, list[Endpoint]]] = []
    for slice in same:
        kept = [left.pop(key) for one in slice.endpoints if (key := _identity(one)) in left]
        filled.append((slice, kept))
    rest = list(left.values())
    for _, endpoints in sorted(filled, key=lambda one: -len(one[1])):
        room = max(0, MOST - len(endpoints))
        endpoints += rest[:room]
        rest = rest[room:]
    while rest or not filled:
        filled.append((None, rest[:MOST]))
        rest = rest[MOST:]
    return filled


def _identity(endpoint: Endpoint) -> tuple[tuple[str, ...], str]:
    return endpoint.addresses, endpoint.target_ref.uid if endpoint.target_ref else ""


def _with(slice: EndpointSlice, meta: ObjectMeta, group: Group, endpoints: Sequence[Endpoint]) -> EndpointSlice:
    return msgspec.structs.replace(
        slice,
        metadata=msgspec.structs.replace(slice.metadata, labels=meta.labels),
        ports=group.ports,
        endpoints=tuple(endpoints),
    )


async def carry_out(client: Client, todo: SlicePlan) -> None:
    for slice in todo.create:
        await client.create(slice)
    for slice in todo.update:
        await client.update(slice)
    for slice in todo.delete:
        try:
            await client.delete(EndpointSlice, slice.metadata.name, slice.metadata.namespace)
        except NotFound:
            continue
