"""What all of resource.k8s.io says of devices: names, selectors, tolerations, configuration
(pkg/apis/resource/validation and the declarative tags of its v1 types)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from minikube.api.names import label_problems, label_value_problems, subdomain_problems
from minikube.api.resource_v1 import DeviceSelector, DeviceTaint, DeviceToleration, OpaqueDeviceConfiguration
from minikube.errors import FieldError
from minikube.resources.rules.expressions import Stored, expression
from minikube.resources.rules.invalid import (
    at,
    duplicate,
    invalid,
    not_supported,
    one_of,
    required,
    too_long,
    too_many,
)
from minikube.resources.rules.labelling import label_name
from minikube.resources.rules.volumes import csi_driver_name

MOST_REQUESTS = MOST_CONFIGS = 32
_MOST_SELECTORS, _MOST_BINDING = 32, 4
_LONGEST_EXPRESSION = _LONGEST_PARAMETERS = 10 * 1024
_LONGEST_POOL, _LONGEST_ID = 253, 32
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_WRONG_IDENTIFIER = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
    f"characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '{_IDENTIFIER}')"
)
_SKIPPED = ("*", "NodePrepareResources", "NodeUnprepareResources")
T = TypeVar("T")


def each(
    given: Sequence[T], path: str, most: int, check: Callable[[T, str], Iterator[FieldError]]
) -> Iterator[FieldError]:
    """The rules of each; of too many only that they are."""
    if most >= 0 and len(given) > most:
        yield too_many(path, len(given), most)
        return
    for index, one in enumerate(given):
        yield from check(one, at(path, index))


def distinct(
    given: Sequence[T],
    path: str,
    most: int,
    check: Callable[[T, str], Iterator[FieldError]],
    key: Callable[[T], Any],
) -> Iterator[FieldError]:
    yield from each(given, path, most, check)
    if 0 <= most < len(given):
        return
    seen = set()
    for index, one in enumerate(given):
        if (name := key(one)) in seen:
            yield duplicate(at(path, index), name)
        seen.add(name)


def label(name: str, path: str) -> Iterator[FieldError]:
    """The name of a request, a device, a counter."""
    for why in label_problems(name):
        yield invalid(path, name, why)


def pool(name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
        return
    if len(name) > _LONGEST_POOL:
        yield too_long(path, _LONGEST_POOL)
    for part in name.split("/"):
        for why in subdomain_problems(part):
            yield invalid(path, part, why)


def share(uid: str, path: str) -> Iterator[FieldError]:
    try:
        normal = str(uuid.UUID(uid))
    except ValueError:
        why = "invalid UUID format" if len(uid) in (32, 36, 38, 45) else f"invalid UUID length: {len(uid)}"
        yield invalid(path, uid, f"error validating uid: {why}")
        return
    if uid != normal:
        form = "`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"
        yield invalid(path, uid, f"uid must be in RFC 4122 normalized form, {form}")


def _identifier(name: str, path: str) -> Iterator[FieldError]:
    if len(name) > _LONGEST_ID:
        yield too_long(path, _LONGEST_ID)
    if not re.fullmatch(_IDENTIFIER, name):
        yield invalid(path, name, _WRONG_IDENTIFIER)


def qualified(name: str, path: str) -> Iterator[FieldError]:
    """[domain/]identifier: attributes and capacities."""
    domain, slash, own = name.partition("/")
    if "/" in own:
        yield invalid(path, name, "must not contain more than one slash")
        return
    if not slash:
        yield from _identifier(name, path)
        return
    if domain:
        yield from csi_driver_name(domain, path)
    else:
        yield invalid(path, "", "the domain must not be empty")
    if own:
        yield from _identifier(own, path)
    else:
        yield invalid(path, "", "the name must not be empty")


def fully_qualified(name: str, path: str) -> Iterator[FieldError]:
    yield from qualified(name, path)
    if "/" not in name:
        yield invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash")


def device_class(name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
    for why in subdomain_problems(name) if name else ():
        yield invalid(path, name, why)


def selectors(given: Sequence[DeviceSelector], path: str, stored: Stored = frozenset()) -> Iterator[FieldError]:
    def check(one: DeviceSelector, where: str) -> Iterator[FieldError]:
        if one.cel is None:
            yield required(f"{where}.cel")
        else:
            yield from device_expression(one.cel.expression, f"{where}.cel.expression", "bool", stored=stored)

    yield from each(given, path, _MOST_SELECTORS, check)


def device_expression(text: str, path: str, *types: str, stored: Stored = frozenset()) -> Iterator[FieldError]:
    """Of a device, as dynamic-resource-allocation/cel compiles it."""
    if text not in stored and len(text.encode()) > _LONGEST_EXPRESSION:
        yield too_long(path, _LONGEST_EXPRESSION)
        return
    yield from expression(text, path, ("device",), *types, stored=stored)


def opaque(given: OpaqueDeviceConfiguration | None, path: str, *, stored: bool = False) -> Iterator[FieldError]:
    """`stored`: it may be as long as an older server took it."""
    if given is None:
        yield required(path)
        return
    yield from csi_driver_name(given.driver, f"{path}.driver")
    yield from raw_object(given.parameters, f"{path}.parameters", _LONGEST_PARAMETERS, stored=stored)


def raw_object(given: Any, path: str, longest: int, *, stored: bool = False) -> Iterator[FieldError]:
    """A RawExtension: any JSON object."""
    if given is None:
        yield required(path)
    elif not stored and len(msgspec.json.encode(given)) > longest:
        yield too_long(path, longest)
    elif not isinstance(given, dict):
        yield invalid(path, "<value omitted>", "must be a valid JSON object")


def toleration(one: DeviceToleration, path: str) -> Iterator[FieldError]:
    if one.key:
        yield from label_name(one.key, f"{path}.key")
    yield from one_of(f"{path}.operator", one.operator, ("Equal", "Exists"))
    if one.operator == "Exists" and one.value:
        yield invalid(f"{path}.value", one.value, "must be empty for operator `Exists`")
    for why in label_value_problems(one.value) if one.operator == "Equal" else ():
        yield invalid(f"{path}.value", one.value, why)
    if one.effect and one.effect not in _EFFECTS:
        yield not_supported(f"{path}.effect", one.effect, _EFFECTS)


def taint(one: DeviceTaint, path: str, old: DeviceTaint | None = None) -> Iterator[FieldError]:
    yield from label_name(one.key, f"{path}.key")
    for why in label_value_problems(one.value):
        yield invalid(f"{path}.value", one.value, why)
    if old is None or old.effect != one.effect:
        yield from one_of(f"{path}.effect", one.effect, _EFFECTS)


def binding(conditions: Sequence[str], failures: Sequence[str], path: str) -> Iterator[FieldError]:
    """The conditions that a device waits for before its pod is bound."""
    yield from each(conditions, f"{path}.bindingConditions", _MOST_BINDING, label_name)
    yield from each(failures, f"{path}.bindingFailureConditions", _MOST_BINDING, label_name)
    for index, one in enumerate(conditions):
        if one in conditions[:index]:
            yield duplicate(at(f"{path}.bindingConditions", index), one)
    where = f"{path}.bindingFailureConditions"
    for index, one in enumerate(failures):
        if one in failures[:index]:
            yield duplicate(at(where, index), one)
        if one in conditions:
            why = "bindingFailureConditions must not overlap with bindingConditions"
            yield invalid(at(where, index), one, why)
    if failures and not conditions:
        why = "bindingConditions are required to use bindingFailureConditions"
        yield invalid(f"{path}.bindingConditions", conditions, why)
    if conditions and not failures:
        why = "bindingFailureConditions are required to use bindingConditions"
        yield invalid(where, failures, why)


def skipped_operations(given: Sequence[str], path: str) -> Iterator[FieldError]:
    for index, one in enumerate(given):
        if one not in _SKIPPED:
            yield not_supported(at(path, index), one, _SKIPPED)
        if one in given[:index]:
            yield duplicate(at(path, index), one)
    if "NodePrepareResources" in given and {"NodeUnprepareResources", "*"}.isdisjoint(given):
        why = "NodePrepareResources cannot be skipped unless NodeUnprepareResources is also skipped"
        yield invalid(path, given, why)
