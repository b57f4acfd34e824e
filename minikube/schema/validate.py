"""Validates a custom resource against its structural schema, worded as apiextensions-apiserver words it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from minikube.errors import FieldError
from minikube.schema.fieldset import element_key, elements
from minikube.schema.formats import has_format
from minikube.schema.patch import equal
from minikube.schema.regexp import Regexp
from minikube.schema.structure import Structure

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: (
        not isinstance(v, bool) and (isinstance(v, int) or (isinstance(v, float) and v.is_integer()))
    ),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
}
UNRELATED: Any = object()
"""In place of an old value: there is none to compare with."""


def validate(obj: Any, structure: Structure, path: str = "", *, old: Any = UNRELATED) -> Iterator[FieldError]:
    """Everything in `obj` that its schema does not allow. Never mutates. `path` is "" for the whole object.

    With the `old` object what has not changed is not looked at again (ratcheting, apiserver/validation).
    """
    yield from _value(obj, structure, path, old)


def _invalid(path: str, value: Any, rule: str, *, where: str = "") -> FieldError:
    place = where or path or "<nil>"
    return FieldError(
        place, "FieldValueInvalid", f"Invalid value: {shown(value)}: {path + ' ' if path else ''}in body {rule}"
    )


def shown(value: Any) -> str:
    """A value as field errors print it: JSON for scalars and short trees."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value).decode()


def type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _value(value: Any, structure: Structure, path: str, old: Any = UNRELATED) -> Iterator[FieldError]:
    if structure.typed or (old is not UNRELATED and equal(value, old)):
        return
    if value is None and structure.nullable:
        return
    if structure.int_or_string:
        if not isinstance(value, str) and not TYPES["integer"](value):
            yield _wrong_type(value, "integer,string", path)
            return
    elif structure.type and not TYPES[structure.type](value):
        yield _wrong_type(value, structure.type, path)
        return
    if structure.enum is not None and not any(equal(value, one) for one in structure.enum):
        known = ", ".join(shown(one) for one in structure.enum)
        yield FieldError(
            path or "<nil>",
            "FieldValueNotSupported",
            f"Unsupported value: {shown(value)}: supported values: {known}",
        )
    if isinstance(value, dict):
        yield from _object(value, structure, path, old if isinstance(old, dict) else {})
    elif isinstance(value, list):
        yield from _list(value, structure, path, old)
    elif isinstance(value, str):
        yield from _string(value, structure, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, structure, path)
    yield from _junctors(value, structure, path)


def _wrong_type(value: Any, wanted: str, path: str) -> FieldError:
    found = type_name(value)
    rule = f"must be of type {wanted}: {msgspec.json.encode(found).decode()}"
    prefix = f"{path} " if path else ""
    return FieldError(
        path or "<nil>",
        "FieldValueTypeInvalid",
        f'Invalid value: "{found}": {prefix}in body {rule}',
    )


def _object(value: dict[str, Any], structure: Structure, path: str, old: dict[str, Any]) -> Iterator[FieldError]:
    for name in structure.required:
        if name not in value:
            yield FieldError(_join(path, name), "FieldValueRequired", "Required value")
    if structure.min_properties is not None and len(value) < structure.min_properties:
        yield _invalid(path, value, f"should have at least {structure.min_properties} properties")
    if structure.max_properties is not None and len(value) > structure.max_properties:
        yield FieldError(
            path or "<nil>",
            "FieldValueTooMany",
            f"Too many: {len(value)}: must have at most {structure.max_properties} items",
        )
    for name, sub in value.items():
        child = structure.properties.get(name)
        if child is not None:
            yield from _value(sub, child, _join(path, name), old.get(name, UNRELATED))
        elif structure.additional is not None:
            yield from _value(sub, structure.additional, _join(path, name), old.get(name, UNRELATED))
        elif structure.additional_forbidden:
            yield _invalid(path, value, f"is a forbidden property: {name}")
    if structure.embedded:
        for name in ("apiVersion", "kind"):
            if not value.get(name):
                yield FieldError(_join(path, name), "FieldValueRequired", "must not be empty")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _list(value: list[Any], structure: Structure, path: str, old: Any) -> Iterator[FieldError]:
    if structure.min_items is not None and len(value) < structure.min_items:
        yield _invalid(path, len(value), f"should have at least {structure.min_items} items")
    if structure.max_items is not None and len(value) > structure.max_items:
        yield FieldError(
            path or "<nil>",
            "FieldValueTooMany",
            f"Too many: {len(value)}: must have at most {structure.max_items} items",
        )
    if structure.unique_items and any(equal(one, other) for at, one in enumerate(value) for other in value[:at]):
        yield _invalid(path, value, "shouldn't contain duplicates")
    if structure.items is not None:
        before = elements(old, structure) if structure.list_type == "map" and isinstance(old, list) else {}
        for index, item in enumerate(value):
            known = before.get(element_key(item, structure), UNRELATED) if before else UNRELATED
            yield from _value(item, structure.items, f"{path}[{index}]", known)
    if structure.list_type in ("set", "map"):
        yield from _unique(value, structure, path)


def _unique(value: list[Any], structure: Structure, path: str) -> Iterator[FieldError]:
    """listmap and set: no two elements with the same key (apiserver/schema/listtype)."""
    seen: set[bytes] = set()
    for index, item in enumerate(value):
        if structure.list_type == "map":
            if not isinstance(item, dict):
                continue
            identity: Any = {key: item.get(key, _default(structure, key)) for key in sorted(structure.list_keys)}
        else:
            identity = item
        encoded = msgspec.json.encode(identity, order="sorted")
        if encoded in seen:
            yield FieldError(f"{path}[{index}]", "FieldValueDuplicate", f"Duplicate value: {shown(identity)}")
        seen.add(encoded)


def _default(structure: Structure, key: str) -> Any:
    child = structure.items.properties.get(key) if structure.items is not None else None
    return child.default if child is not None else None


def _unmatched(pattern: Regexp, value: str) -> str:
    """What it should match and does not, or empty."""
    try:
        return "" if pattern.found_in(value) else pattern.source
    except ValueError as error:
        return f"{pattern.source}, but pattern is invalid: {error}"


def _string(value: str, structure: Structure, path: str) -> Iterator[FieldError]:
    if structure.min_length is not None and len(value) < structure.min_length:
        yield _invalid(path, value, f"should be at least {structure.min_length} chars long")
    if structure.max_length is not None and len(value) > structure.max_length:
        yield FieldError(
            path or "<nil>", "FieldValueTooLong", f"Too long: may not be more than {structure.max_length} bytes"
        )
    if structure.pattern is not None and (wanted := _unmatched(structure.pattern, value)):
        yield _invalid(path, value, f"should match '{wanted}'")
    if structure.format and not has_format(value, structure.format):
        prefix = f"{path} " if path else ""
        yield FieldError(
            path or "<nil>",
            "FieldValueTypeInvalid",
            f"Invalid value: {shown(value)}: {prefix}in body must be of type {structure.format}: {shown(value)}",
        )


def _number(value: float, structure: Structure, path: str) -> Iterator[FieldError]:
    low, high, step = structure.minimum, structure.maximum, structure.multiple_of
    if low is not None and (value <= low if structure.exclusive_minimum else value < low):
        relation = "greater than" if structure.exclusive_minimum else "greater than or equal to"
        yield _invalid(path, value, f"should be {relation} {shown(low)}")
    if high is not None and (value >= high if structure.exclusive_maximum else value > high):
        relation = "less than" if structure.exclusive_maximum else "less than or equal to"
        yield _invalid(path, value, f"should be {relation} {shown(high)}")
    if step and not math.isclose(value / step, round(value / step), rel_tol=1e-12, abs_tol=1e-12):
        yield _invalid(path, value, f"should be a multiple of {shown(step)}")
    ranges = {"int32": 2**31, "int64": 2**63}
    limit = ranges.get(structure.format)
    if limit is not None and not -limit <= value < limit:
        yield _invalid(path, value, f"should be of type {structure.format}")


def _junctors(value: Any, structure: Structure, path: str) -> Iterator[FieldError]:
    for sub in structure.all_of:
        failed = list(_value(value, sub, path))
        if failed:
            yield from failed
            yield _invalid(path, type_name(value), "must validate all the schemas (allOf)")
    if structure.any_of and not any(_fits(value, sub, path) for sub in structure.any_of):
        yield from _nearest(value, structure.any_of, path)
        yield _invalid(path, type_name(value), "must validate at least one schema (anyOf)")
    if structure.one_of:
        fitting = sum(_fits(value, sub, path) for sub in structure.one_of)
        if fitting != 1:
            if not fitting:
                yield from _nearest(value, structure.one_of, path)
            found = f"Found {fitting} valid alternatives" if fitting else "Found none valid"
            yield _invalid(path, type_name(value), f"must validate one and only one schema (oneOf). {found}")
    if structure.not_ is not None and _fits(value, structure.not_, path):
        yield _invalid(path, type_name(value), "must not validate the schema (not)")


def _fits(value: Any, structure: Structure, path: str) -> bool:
    return next(_value(value, structure, path), None) is None


def _nearest(value: Any, choices: tuple[Structure, ...], path: str) -> Iterator[FieldError]:
    """The errors of the alternative that fails least."""
    yield from min((list(_value(value, one, path)) for one in choices), key=len)
