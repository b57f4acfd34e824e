"""What resource slices may publish, and rules that taint devices (pkg/apis/resource/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from minikube.api import time
from minikube.api.names import subdomain_problems
from minikube.api.resource_v1 import (
    Counter,
    CounterSet,
    Device,
    DeviceAttribute,
    DeviceCounterConsumption,
    DeviceTaintRule,
    ResourcePool,
    ResourceSlice,
    ResourceSliceSpec,
)
from minikube.errors import FieldError
from minikube.resources.base import Obj, ReadOnlyObj, Strategy
from minikube.resources.rules.conditions import conditions
from minikube.resources.rules.device_capacity import allocatable_resources, capacity
from minikube.resources.rules.devices import (
    binding,
    distinct,
    each,
    fully_qualified,
    label,
    pool,
    qualified,
    skipped_operations,
    taint,
)
from minikube.resources.rules.invalid import at, immutable, invalid, key, required, too_long, too_many
from minikube.resources.rules.placement import node_selector
from minikube.resources.rules.volumes import csi_driver_name

_MOST_DEVICES, _MOST_ADVANCED_DEVICES = 128, 64
_MOST_COUNTER_SETS, _MOST_COUNTERS, _MOST_CONSUMPTIONS, _MOST_TAINTS, _MOST_CONDITIONS = 8, 32, 2, 16, 8
_MOST_ATTRIBUTES, _MOST_VALUES, _LONGEST_VALUE = 32, 48, 64
_NUMBER, _WORD = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_WORD}(\.{_WORD})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?", re.ASCII
)
_WHERE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_WHERE_DEVICE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to "
    "true in the ResourceSlice spec"
)
T = TypeVar("T")


def _stamp(taint_of: Any) -> None:
    """A taint says since when it is there (SetDefaults_DeviceTaint)."""
    if isinstance(taint_of, dict):
        taint_of.setdefault("timeAdded", time.text(datetime.now(UTC)))


class ResourceSliceRules(Strategy[ResourceSlice]):
    def default(self, new: Obj) -> None:
        for device in (new.get("spec") or {}).get("devices") or ():
            for one in device.get("taints") or ():
                _stamp(one)

    def validate(self, new: ResourceSlice, old: ResourceSlice | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from csi_driver_name(spec.driver, "spec.driver")
        yield from _pool(spec.pool)
        if old is not None:
            yield from immutable("spec.pool.name", spec.pool.name, old.spec.pool.name)
            yield from immutable("spec.driver", spec.driver, old.spec.driver)
            yield from immutable("spec.nodeName", spec.node_name, old.spec.node_name)
        yield from _nodes(spec)
        if spec.shared_counters and spec.devices:
            yield invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
        known = {one.name: one for one in old.spec.devices} if old is not None else {}
        check = partial(_device, known=known, alone=bool(spec.per_device_node_selection))
        most = _MOST_ADVANCED_DEVICES if any(map(_advanced, spec.devices)) else _MOST_DEVICES
        yield from distinct(spec.devices, "spec.devices", most, check, _name)
        yield from distinct(spec.shared_counters, "spec.sharedCounters", _MOST_COUNTER_SETS, _counter_set, _name)
        if spec.partition_type_attribute:
            yield from _partition_type(spec, spec.partition_type_attribute)
        yield from skipped_operations(spec.skip_node_operations, "spec.skipNodeOperations")

    def fields(self, obj: ResourceSlice) -> Mapping[str, str]:
        return {"spec.nodeName": obj.spec.node_name or "", "spec.driver": obj.spec.driver}


def _name(one: Device | CounterSet) -> str:
    return one.name


def _advanced(device: Device) -> bool:
    lists = any(one.bools or one.ints or one.strings or one.versions for one in device.attributes.values())
    return bool(device.taints or device.consumes_counters or lists)


def _pool(given: ResourcePool) -> Iterator[FieldError]:
    yield from pool(given.name, "spec.pool.name")
    if given.resource_slice_count <= 0:
        yield invalid("spec.pool.resourceSliceCount", given.resource_slice_count, "must be greater than zero")
    if given.generation < 0:
        yield invalid("spec.pool.generation", given.generation, "must be greater than or equal to zero")


def _place(of: ResourceSliceSpec | Device, path: str, empty: str) -> Iterator[FieldError]:
    """What a slice and a device alike may say of the nodes that reach them."""
    if of.node_name:
        for why in subdomain_problems(of.node_name):
            yield invalid(f"{path}.nodeName", of.node_name, why)
    elif of.node_name is not None:
        yield invalid(f"{path}.nodeName", of.node_name, empty)
    if of.node_selector is not None:
        yield from node_selector(of.node_selector, f"{path}.nodeSelector")
    if of.all_nodes is False:
        yield invalid(f"{path}.allNodes", of.all_nodes, "must be either unset or set to true")


def _said(of: ResourceSliceSpec | Device) -> list[str]:
    given = {"nodeName": of.node_name, "nodeSelector": of.node_selector is not None, "allNodes": of.all_nodes}
    return [f"`{name}`" for name, value in given.items() if value]


def _nodes(spec: ResourceSliceSpec) -> Iterator[FieldError]:
    yield from _place(spec, "spec", "must be either unset or set to a non-empty string")
    terms = spec.node_selector.node_selector_terms if spec.node_selector is not None else None
    if terms is not None and len(terms) != 1:
        yield invalid("spec.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term")
    if spec.per_device_node_selection is False:
        yield invalid("spec.perDeviceNodeSelection", False, "must be either unset or set to true")
    said = [*_said(spec), *(["`perDeviceNodeSelection`"] if spec.per_device_node_selection else [])]
    if not said:
        yield required("spec", _WHERE)
    elif len(said) > 1:
        yield invalid("spec", f"{{{', '.join(said)}}}", f"{_WHERE}, but multiple fields are set")


def _counters(given: Mapping[str, Counter], path: str) -> Iterator[FieldError]:
    if not given:
        yield required(path)
    elif len(given) > _MOST_COUNTERS:
        yield too_many(path, len(given), _MOST_COUNTERS)
        return
    for name in given:
        yield from label(name, path)


def _counter_set(given: CounterSet, path: str) -> Iterator[FieldError]:
    if given.name:
        yield from label(given.name, f"{path}.name")
    else:
        yield required(f"{path}.name")
    yield from _counters(given.counters, f"{path}.counters")


def _consumption(given: DeviceCounterConsumption, path: str) -> Iterator[FieldError]:
    if given.counter_set:
        yield from label(given.counter_set, f"{path}.counterSet")
    else:
        yield required(f"{path}.counterSet")
    yield from _counters(given.counters, f"{path}.counters")


def _device(device: Device, path: str, known: Mapping[str, Device], *, alone: bool) -> Iterator[FieldError]:
    """`alone`: the slice leaves to each device which nodes reach it."""
    yield from label(device.name, f"{path}.name")
    before = known.get(device.name)
    yield from _amounts(device, path)
    for name, attribute in device.attributes.items():
        yield from qualified(name, f"{path}.attributes")
        yield from _attribute(attribute, key(f"{path}.attributes", name))
    if before is None or before.capacity != device.capacity:
        shared = bool(device.allow_multiple_allocations)
        for name, given in device.capacity.items():
            yield from qualified(name, f"{path}.capacity")
            yield from capacity(given, key(f"{path}.capacity", name), shared=shared)
    if before is None or before.taints != device.taints:
        yield from each(device.taints, f"{path}.taints", _MOST_TAINTS, taint)
    consumed = f"{path}.consumesCounters"
    yield from distinct(
        device.consumes_counters, consumed, _MOST_CONSUMPTIONS, _consumption, lambda one: one.counter_set
    )
    yield from _device_nodes(device, path, alone=alone)
    yield from binding(device.binding_conditions, device.binding_failure_conditions, path)
    yield from allocatable_resources(
        device.node_allocatable_resources, device.capacity, f"{path}.nodeAllocatableResources"
    )


def _amounts(device: Device, path: str) -> Iterator[FieldError]:
    named = len(device.attributes) + len(device.capacity)
    if named > _MOST_ATTRIBUTES:
        why = f"the total number of attributes and capacities must not exceed {_MOST_ATTRIBUTES}"
        yield invalid(path, named, why)
    lists = [(one.bools, one.ints, one.strings, one.versions) for one in device.attributes.values()]
    values = sum(sum(map(len, each_list)) or 1 for each_list in lists)
    if values > _MOST_VALUES:
        yield invalid(path, values, f"the total number of attribute values must not exceed {_MOST_VALUES}")


def _device_nodes(device: Device, path: str, *, alone: bool) -> Iterator[FieldError]:
    said = _said(device)
    if not alone:
        if device.node_name is not None or device.node_selector is not None or device.all_nodes is not None:
            names = "`nodeName`, `nodeSelector` and `allNodes`"
            why = f"{names} can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
            yield invalid(path, None, why)
        return
    yield from _place(device, path, "must not be empty")
    if not said:
        yield required(path, _WHERE_DEVICE)
    elif len(said) > 1:
        yield invalid(path, f"{{{', '.join(said)}}}", _WHERE_DEVICE)


def _attribute(attribute: DeviceAttribute, path: str) -> Iterator[FieldError]:
    single = (attribute.bool_, attribute.int_, attribute.string, attribute.version)
    several = (attribute.bools, attribute.ints, attribute.strings, attribute.versions)
    for name, text in (("string", attribute.string), ("version", attribute.version)):
        if text is not None:
            yield from _text(text, f"{path}.{name}", version=name == "version")
    for name, texts in (("strings", attribute.strings), ("versions", attribute.versions)):
        for index, text in enumerate(texts):
            yield from _text(text, at(f"{path}.{name}", index), version=name == "versions")
    given = sum(one is not None for one in single) + sum(bool(one) for one in several)
    if given != 1:
        yield invalid(path, attribute if given else "", "exactly one value must be specified")


def _text(text: str, path: str, *, version: bool) -> Iterator[FieldError]:
    if version and not _VERSION.fullmatch(text):
        yield invalid(path, text, "must be a string compatible with semver.org spec 2.0.0")
    if len(text.encode()) > _LONGEST_VALUE:
        yield too_long(path, _LONGEST_VALUE)


def _partition_type(spec: ResourceSliceSpec, name: str) -> Iterator[FieldError]:
    """Every device that consumes counters says of which type it is."""
    path = "spec.partitionTypeAttribute"
    wrong = list(fully_qualified(name, path))
    yield from wrong
    if not any(one.consumes_counters for one in spec.devices):
        yield invalid(path, name, "may only be set on a slice which declares devices that consume counters")
        return
    own = name.removeprefix(f"{spec.driver}/")
    for index, device in enumerate(spec.devices if not wrong else ()):
        if not device.consumes_counters:
            continue
        where = key(f"{at('spec.devices', index)}.attributes", name)
        attribute = device.attributes.get(name) or device.attributes.get(own)
        if attribute is None:
            why = "device consumes counters and `partitionTypeAttribute` names this attribute, so it must be set"
            yield required(where, why)
        elif attribute.string is None:
            yield invalid(
                where, attribute, "must be a string value because `partitionTypeAttribute` names this attribute"
            )


class DeviceTaintRuleRules(Strategy[DeviceTaintRule]):
    def default(self, new: Obj) -> None:
        _stamp((new.get("spec") or {}).get("taint"))

    def prepare_update(self, new: Obj, old: ReadOnlyObj) -> None:
        new["status"] = old.get("status") or {}

    def validate(self, new: DeviceTaintRule, old: DeviceTaintRule | None) -> Iterator[FieldError]:
        chosen, path = new.spec.device_selector, "spec.deviceSelector"
        if chosen is not None:
            if chosen.driver:
                yield from csi_driver_name(chosen.driver, f"{path}.driver")
            if chosen.pool:
                yield from pool(chosen.pool, f"{path}.pool")
            if chosen.device:
                yield from label(chosen.device, f"{path}.device")
        yield from taint(new.spec.taint, "spec.taint", old.spec.taint if old is not None else None)

    def validate_status(self, new: DeviceTaintRule, old: DeviceTaintRule) -> Iterator[FieldError]:
        given = new.status.conditions
        yield from conditions(given, "status.conditions")
        if len(given) > _MOST_CONDITIONS:
            yield too_many("status.conditions", len(given), _MOST_CONDITIONS)
