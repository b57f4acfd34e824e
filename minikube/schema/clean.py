"""Brings an object a client sent into shape: nulls dropped, unknown fields pruned and named, scalars canonical.

The fast path builds no paths: they are put together only while unwinding from something that is wrong.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from minikube.schema.scalars import canonical_quantity, time_problem
from minikube.schema.structure import ANY, Obj, Structure

INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1), "": (-(2**63), 2**63 - 1)}


class WrongType(Exception):
    """A value that Go's decoder would refuse. `path` is its place, str() the decoder's message."""

    def __init__(self, path: str, message: str, converting: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.converting = converting or message
        """The message of Go's converter, which decodes what a strategic merge patch made."""

    def __str__(self) -> str:
        return self.message


class _Mismatch(Exception):
    """On its way up from the value to the root, gathering the path; `owner` is the Go struct of the field."""

    def __init__(self, found: str, wanted: str, verbatim: str = "") -> None:
        self.found, self.wanted, self.verbatim = found, wanted, verbatim
        self.steps: list[str | int] = []
        self.fields: list[str] = []
        self.owner = ""


def clean(obj: Obj, structure: Structure) -> list[str]:
    """Clean `obj` in place; the paths of the fields that were unknown (`spec.containers[0].bar`).

    Fields of built-in kinds that are null are dropped, as are those of custom resources that are not nullable.
    Raises WrongType where a built-in field has a value of another type; custom fields are left to `validate`.
    """
    if type(obj) is not dict:
        raise WrongType("", f"json: cannot unmarshal {found(obj)} into Go value of type {go_type(structure)}")
    try:
        unknown = _object(obj, structure)
    except _Mismatch as wrong:
        raise _told(wrong) from None
    return unknown or []


def _told(wrong: _Mismatch) -> WrongType:
    steps = wrong.steps[::-1]
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    if wrong.verbatim:
        return WrongType(path, wrong.verbatim)
    fields = ".".join(wrong.fields[::-1])
    return WrongType(
        path,
        f"json: cannot unmarshal {wrong.found} into Go struct field {wrong.owner}.{fields} of type {wrong.wanted}",
        _converting(wrong.found, wrong.wanted),
    )


_GO_KINDS = {"number": "int64", "array": "slice", "object": "map"}


def _converting(found: str, wanted: str) -> str:
    """What runtime.DefaultUnstructuredConverter says of a value of another type."""
    number = found.partition(" ")[2]
    kind = "float64" if "." in number or "e" in number else _GO_KINDS.get(found.partition(" ")[0], found)
    if wanted.startswith("[]"):
        return f"cannot restore slice from {kind}"
    if wanted.startswith("map["):
        return f"cannot restore map from {kind}"
    if "." in wanted:
        return f"cannot restore struct from: {kind}"
    convertible = (kind, wanted) == ("int64", "string") or (kind == "float64" and wanted.startswith("int"))
    return f"cannot convert {kind} to {wanted}" if convertible else f"unrecognized type: {wanted}"


def _object(obj: Obj, structure: Structure) -> list[str] | None:
    properties = structure.properties
    additional = structure.additional
    unknown: list[str] | None = None
    dropped: list[str] | None = None
    for name, value in obj.items():
        child = properties.get(name)
        if child is None:
            if additional is not None:
                child = additional
                if value is None and child.typed:
                    obj[name] = zero(child)
                    continue
            elif structure.preserve_unknown:
                continue
            else:
                unknown = [*(unknown or ()), name]
                dropped = [*(dropped or ()), name]
                continue
        if value is None:
            if not child.nullable and child is not ANY:
                dropped = [*(dropped or ()), name]
            continue
        kind = type(value)
        if kind is str and child.type == "string" and not child.format:
            continue
        try:
            if kind is dict or kind is list:
                below = _inside(value, child)
            else:
                below = None
                if child.typed:
                    obj[name] = _scalar(value, child)
        except _Mismatch as wrong:
            wrong.steps.append(name)
            if name in properties:
                wrong.fields.append(name)
            wrong.owner = wrong.owner or structure.definition.rpartition(".")[2]
            raise
        if below:
            unknown = [*(unknown or ()), *_below(name, below)]
    if dropped:
        for name in dropped:
            del obj[name]
    return unknown


def _list(values: list[Any], structure: Structure) -> list[str] | None:
    items = structure.items
    if items is None:
        return None
    plain, typed = items.type == "string" and not items.format, items.typed
    unknown: list[str] | None = None
    for index, value in enumerate(values):
        kind = type(value)
        if plain and kind is str:
            continue
        try:
            if kind is dict or kind is list:
                below = _inside(value, items)
            else:
                below = None
                if typed:
                    values[index] = zero(items) if value is None else _scalar(value, items)
        except _Mismatch as wrong:
            wrong.steps.append(index)
            raise
        if below:
            unknown = [*(unknown or ()), *_below(f"[{index}]", below)]
    return unknown


def _inside(value: Any, structure: Structure) -> list[str] | None:
    """Clean an object or a list where `structure` has one; what is unknown in it."""
    if type(value) is dict:
        if structure.type == "object" or (not structure.typed and (structure.properties or structure.additional)):
            return _object(value, structure)
    elif structure.type == "array":
        return _list(value, structure)
    if structure.typed:
        _scalar(value, structure)
    return None


def _below(step: str, paths: list[str]) -> list[str]:
    """The paths, seen from one step further up."""
    return [f"{step}{path}" if path[:1] == "[" else f"{step}.{path}" for path in paths]


def _scalar(value: Any, structure: Structure) -> Any:
    """The value as the decoder keeps it, or _Mismatch. Objects and lists in their right place never get here."""
    wanted, kind = structure.type, type(value)
    if wanted == "string":
        form = structure.format
        if form == "":
            if kind is str:
                return value
        elif form == "quantity":
            return _quantity(value)
        elif form == "int-or-string":
            if kind is str:
                return value
            return _integer(value, "int32")
        elif kind is str:
            return _formatted(value, form)
    elif wanted == "integer":
        return _integer(value, structure.format)
    elif wanted == "boolean":
        if kind is bool:
            return value
    elif wanted == "number":
        if kind is int or kind is float:
            return value
    elif wanted == "":
        return value
    raise _Mismatch(found(value), go_type(structure))


def _integer(value: Any, form: str) -> int:
    kind = type(value)
    if kind is float and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if kind is not int:
        raise _Mismatch(f"number {value}" if kind is float else found(value), form or "int64")
    low, high = INTEGERS.get(form, INTEGERS[""])
    if not low <= value <= high:
        raise _Mismatch(f"number {value}", form or "int64")
    return int(value)


def _quantity(value: Any) -> str:
    try:
        if type(value) is str:
            return canonical_quantity(value)
        if type(value) in (int, float):
            return canonical_quantity(repr(value).replace("e+", "e"))
    except ValueError as wrong:
        raise _Mismatch("", "", str(wrong)) from None
    return _refuse_quantity()


def _refuse_quantity() -> str:
    from minikube.schema.scalars import SHAPE

    raise _Mismatch("", "", SHAPE)


def _formatted(value: str, form: str) -> str:
    if form in ("date-time", "date-time-micro"):
        problem = time_problem(value)
        if problem:
            raise _Mismatch("", "", problem)
    elif form == "byte":
        try:
            base64.b64decode(value.translate(NEWLINES), validate=True)
        except (binascii.Error, ValueError):
            raise _Mismatch("", "", illegal_base64(value)) from None
    return value


NEWLINES = {10: None, 13: None}
ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def illegal_base64(value: str) -> str:
    at = next((i for i, letter in enumerate(value) if letter not in ALPHABET), len(value))
    return f"illegal base64 data at input byte {at}"


def zero(structure: Structure) -> Any:
    """What Go decodes a null in a list or map to."""
    return {
        "object": {},
        "array": [],
        "integer": 0,
        "number": 0,
        "boolean": False,
        "string": "0" if structure.format in ("quantity", "int-or-string") else "",
    }.get(structure.type)


def found(value: Any) -> str:
    """How Go's decoder calls what it found."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def go_type(structure: Structure) -> str:
    """The Go type that the API's own structs have for this structure."""
    if structure.definition:
        parts = structure.definition.rsplit(".", 2)
        return ".".join(parts[-2:])
    if structure.type == "array" and structure.items is not None:
        return f"[]{go_type(structure.items)}"
    if structure.type == "object" and structure.additional is not None:
        return f"map[string]{go_type(structure.additional)}"
    if structure.type == "integer":
        return structure.format or "int64"
    if structure.format == "byte":
        return "[]uint8"
    if structure.format == "quantity":
        return "resource.Quantity"
    return {"boolean": "bool", "number": "float64", "object": "map[string]interface {}"}.get(
        structure.type, "string"
    )
