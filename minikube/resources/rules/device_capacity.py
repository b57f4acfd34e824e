"""How much of a device a claim may ask for, and what of the node it takes (pkg/apis/resource/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from minikube.api import quantity
from minikube.api.meta import Quantity
from minikube.api.resource_v1 import (
    CapacityRequestPolicy,
    CapacityRequestPolicyRange,
    DeviceCapacity,
    NodeAllocatableMapping,
    NodeAllocatableResource,
)
from minikube.errors import FieldError
from minikube.resources.rules.amounts import HUGE
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, key, not_found, required, too_many

_MOST_VALUES = 10
_OF_NODES = frozenset({"cpu", "memory", "ephemeral-storage"})


def capacity(given: DeviceCapacity, path: str, *, shared: bool) -> Iterator[FieldError]:
    """`shared`: several claims may have a part of the device each."""
    policy, where = given.request_policy, f"{path}.requestPolicy"
    if policy is None:
        return
    if not shared:
        yield forbidden(where, "allowMultipleAllocations must be true")
    elif policy.valid_values and policy.valid_range is not None:
        why = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        yield forbidden(where, why)
    else:
        yield from _policy(policy, given.value or "0", where)


def _policy(policy: CapacityRequestPolicy, most: Quantity, path: str) -> Iterator[FieldError]:
    name = "validValues" if policy.valid_values else "validRange"
    if not policy.valid_values and policy.valid_range is None:
        return
    if policy.default is None:
        yield required(f"{path}.default", f"required when {name} is defined")
    elif policy.valid_range is None:
        yield from _values(policy.valid_values, policy.default, most, f"{path}.{name}")
    else:
        yield from _range(policy.valid_range, policy.default, most, f"{path}.{name}")


def _values(values: Sequence[Quantity], default: Quantity, most: Quantity, path: str) -> Iterator[FieldError]:
    parsed = [quantity.parse(one) for one in values]
    for index in range(1, len(parsed)):
        if parsed[index - 1] > parsed[index]:
            why = "values must be sorted in ascending order"
            yield invalid(at(path, index), quantity.canonical(values[index]), why)
    if len(values) > _MOST_VALUES:
        yield too_many(path, len(values), _MOST_VALUES)
    else:
        for index, one in enumerate(parsed):
            shown = quantity.canonical(values[index])
            if one > quantity.parse(most):
                why = f"option is larger than capacity value: {quantity.canonical(most)}"
                yield invalid(at(path, index), shown, why)
            if one in parsed[:index]:
                yield duplicate(at(path, index), shown)
    if quantity.parse(default) not in parsed:
        yield invalid(
            path, quantity.canonical(default), "default value is not valid according to the requestPolicy"
        )


def _range(given: CapacityRequestPolicyRange, default: Quantity, most: Quantity, path: str) -> Iterator[FieldError]:
    if given.min is None:
        yield required(f"{path}.min", "required when validRange is defined")
        return
    bottom, top, chosen = quantity.parse(given.min), quantity.parse(most), quantity.parse(default)
    shown_min, shown_top, shown = (quantity.canonical(one) for one in (given.min, most, default))
    if bottom > top:
        yield invalid(f"{path}.min", shown_min, f"min is larger than capacity value: {shown_top}")
    if chosen < bottom:
        yield invalid(f"{path}.default", shown, f"default is less than min: {shown_min}")
    if given.max is not None:
        largest, shown_max = quantity.parse(given.max), quantity.canonical(given.max)
        if bottom > largest:
            yield invalid(f"{path}.max", shown_min, f"min is larger than max: {shown_max}")
        if largest > top:
            yield invalid(f"{path}.max", shown_max, f"max is larger than capacity value: {shown_top}")
        if chosen > largest:
            yield invalid(f"{path}.default", shown, f"default is more than max: {shown_max}")
    if given.step is not None:
        yield from _step(given, given.min, given.step, default, most, path)


def _step(
    given: CapacityRequestPolicyRange,
    bottom: Quantity,
    step: Quantity,
    default: Quantity,
    most: Quantity,
    path: str,
) -> Iterator[FieldError]:
    size, start, where = quantity.parse(step), quantity.parse(bottom), f"{path}.step"
    shown = quantity.canonical(step)
    if size <= 0:
        yield invalid(where, shown, "must be greater than zero")
        return
    if start + size > quantity.parse(most):
        first = quantity.canonical(quantity.format(start + size, quantity.format_of(bottom)))
        why = f"one step {first} is larger than capacity value: {quantity.canonical(most)}"
        yield invalid(where, shown, why)
    for one in (default, given.max):
        if one is not None and (quantity.parse(one) - start) % size:
            why = f"value is not a multiple of a given step ({shown}) from ({quantity.canonical(bottom)})"
            yield invalid(where, quantity.canonical(one), why)


def allocatable_resources(
    given: Mapping[str, NodeAllocatableResource], capacities: Mapping[str, DeviceCapacity], path: str
) -> Iterator[FieldError]:
    for name, one in given.items():
        where = key(path, name)
        if name not in _OF_NODES and not name.startswith(HUGE):
            yield invalid(where, name, "must be a node allocatable resource name")
        if one.mapping is None and one.overhead is None:
            yield required(where, "at least one of mapping or overhead must be set")
        if one.mapping is not None:
            yield from _mapping(one.mapping, capacities, f"{where}.mapping")
        if one.overhead is not None:
            amounts = {"perPod": one.overhead.per_pod, "perContainer": one.overhead.per_container}
            if not any(value is not None for value in amounts.values()):
                yield invalid(f"{where}.overhead", "", "at least one of perPod or perContainer must be set")
            for field, value in amounts.items():
                if value is not None and quantity.parse(value) < 0:
                    yield invalid(f"{where}.overhead.{field}", quantity.canonical(value), "must be non-negative")


def _mapping(
    mapping: NodeAllocatableMapping, capacities: Mapping[str, DeviceCapacity], path: str
) -> Iterator[FieldError]:
    name, multiplier = mapping.capacity_key, mapping.capacity_multiplier
    if name == "":
        yield invalid(f"{path}.capacityKey", "", "capacityKey must not be an empty string")
    elif name is not None and name not in capacities:
        yield not_found(f"{path}.capacityKey", name)
    if name is not None and multiplier is None:
        yield required(f"{path}.capacityMultiplier", "capacityMultiplier is required when capacityKey is set")
    if name is None and multiplier is not None:
        yield required(f"{path}.capacityKey", "capacityKey is required when capacityMultiplier is set")
    for field, value in (
        ("capacityMultiplier", multiplier if name is not None else None),
        ("deviceMultiplier", mapping.device_multiplier),
    ):
        if value is not None and quantity.parse(value) <= 0:
            yield invalid(f"{path}.{field}", quantity.canonical(value), "must be positive")
