"""What an object looks like: one Structure per object, list, map or scalar, for built-in kinds and CRDs alike.

`builtin("io.k8s.api.core.v1.Pod")` is compiled on first demand from builtin.json and kept; `compile` reads the
openAPIV3Schema of a CustomResourceDefinition. Structures are shared and recursive: never change one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, cast

import msgspec

from minikube.schema.regexp import Regexp

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

Obj = dict[str, Any]
_NO_PROPERTIES: dict[str, Structure] = {}
Defaults = tuple[tuple[str, Any, bool], ...]
"""(field, value, whether a zero value counts as unset too)."""


class Structure:
    """The shape of one value. Empty or None where the schema says nothing.

    `definition` is the full built-in name (objects of built-in kinds only); `typed` says that Go types decode it
    (built-in kinds and every metadata), so nulls are dropped and a wrong type ends the request.
    `properties` and `additional` (None: unknown fields are not kept) describe objects; `items` lists.
    `list_type` is "", "atomic", "set" or "map"; `map_type` "", "granular" or "atomic"; `merge_key` and
    `merge_strategies` ("merge", "replace", "retainKeys") are what strategic merge patch goes by.
    `defaults` are those of the fields, `rule` fills in the ones that depend on other fields.
    """

    __slots__ = (
        "additional",
        "additional_forbidden",
        "all_of",
        "any_of",
        "default",
        "defaulting",
        "defaults",
        "definition",
        "embedded",
        "enum",
        "exclusive_maximum",
        "exclusive_minimum",
        "format",
        "int_or_string",
        "items",
        "list_keys",
        "list_type",
        "map_type",
        "max_items",
        "max_length",
        "max_properties",
        "maximum",
        "merge_key",
        "merge_strategies",
        "min_items",
        "min_length",
        "min_properties",
        "minimum",
        "multiple_of",
        "not_",
        "nullable",
        "one_of",
        "pattern",
        "preserve_unknown",
        "properties",
        "required",
        "rule",
        "rules",
        "source",
        "type",
        "typed",
        "unique_items",
    )

    def __init__(self, type: str = "", *, typed: bool = False) -> None:
        self.type = type
        self.typed = typed
        self.format = ""
        self.definition = ""
        self.properties = _NO_PROPERTIES
        self.additional: Structure | None = None
        self.additional_forbidden = False
        self.items: Structure | None = None
        self.required: tuple[str, ...] = ()
        self.list_type = ""
        self.list_keys: tuple[str, ...] = ()
        self.map_type = ""
        self.merge_key = ""
        self.merge_strategies: frozenset[str] = frozenset()
        self.preserve_unknown = False
        self.int_or_string = False
        self.embedded = False
        self.nullable = False
        self.default: Any = None
        self.defaults: Defaults = ()
        self.defaulting: tuple[tuple[str, Structure], ...] | None = None
        """Fields with defaults somewhere below; worked out by `defaults.py` on first use."""
        self.rule: Callable[[Obj], None] | None = None
        self.enum: tuple[Any, ...] | None = None
        self.minimum: float | None = None
        self.maximum: float | None = None
        self.exclusive_minimum = False
        self.exclusive_maximum = False
        self.multiple_of: float | None = None
        self.min_length: int | None = None
        self.max_length: int | None = None
        self.min_items: int | None = None
        self.max_items: int | None = None
        self.min_properties: int | None = None
        self.max_properties: int | None = None
        self.unique_items = False
        self.pattern: Regexp | None = None
        self.all_of: tuple[Structure, ...] = ()
        self.any_of: tuple[Structure, ...] = ()
        self.one_of: tuple[Structure, ...] = ()
        self.not_: Structure | None = None
        self.rules: tuple[Mapping[str, Any], ...] = ()
        """x-kubernetes-validations as they are written."""
        self.source: Mapping[str, Any] = {}
        """The CRD schema it was compiled from."""

    def __repr__(self) -> str:
        return f"Structure({self.definition or self.type or 'any'})"

    def child(self, name: str) -> Structure | None:
        """The structure of this field of an object, or None if there is none."""
        return self.properties.get(name) or self.additional


ANY = Structure()
ANY.preserve_unknown = True

_definitions: dict[str, msgspec.Raw] = {}
_compiled: dict[str, Structure] = {}
_inlined: dict[bytes, Structure] = {}


def raw_definitions() -> Mapping[str, msgspec.Raw]:
    """Every built-in definition as JSON not yet decoded, by full name."""
    if not _definitions:
        text = resources.files("minikube.schema").joinpath("builtin.json").read_bytes()
        _definitions.update(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    return _definitions


def raw_definition(name: str) -> dict[str, Any]:
    """One built-in definition as OpenAPI, its $refs being full names. Raises KeyError."""
    return cast(dict[str, Any], msgspec.json.decode(raw_definitions()[name]))


def builtin(definition: str) -> Structure:
    """The structure of a built-in definition by its full name. Raises KeyError if there is none."""
    found = _compiled.get(definition)
    if found is not None:
        return found
    from minikube.schema.builtin_defaults import defaults_of, rule_of

    raw = raw_definition(definition)
    out = Structure(typed=True)
    if raw.get("type") == "object":
        out.definition = definition
        out.defaults = defaults_of(definition)
        out.rule = rule_of(definition)
    _compiled[definition] = out
    _fill(out, raw)
    return out


def _fill(out: Structure, raw: Mapping[str, Any]) -> None:
    """`raw`, a definition or an inline part of one, into `out`."""
    out.type = raw.get("type", "")
    out.format = raw.get("format", "")
    out.int_or_string = out.format == "int-or-string"
    out.preserve_unknown = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
    out.required = tuple(raw.get("required", ()))
    if "properties" in raw:
        out.properties = {name: _inline(sub) for name, sub in raw["properties"].items()}
    additional = raw.get("additionalProperties")
    if isinstance(additional, dict):
        out.additional = _inline(additional)
    elif out.type == "object" and not out.properties and not out.definition:
        out.preserve_unknown = True
    if "items" in raw:
        out.items = _inline(raw["items"])
    _fill_lists(out, raw)


def _fill_lists(out: Structure, raw: Mapping[str, Any]) -> None:
    out.list_type = raw.get("x-kubernetes-list-type") or ""
    out.list_keys = tuple(raw.get("x-kubernetes-list-map-keys") or ())
    out.map_type = raw.get("x-kubernetes-map-type") or ""
    out.merge_key = raw.get("x-kubernetes-patch-merge-key") or ""
    strategies = raw.get("x-kubernetes-patch-strategy") or ""
    out.merge_strategies = frozenset(filter(None, strategies.split(",")))


def _inline(raw: Mapping[str, Any]) -> Structure:
    """Parts that read the same are the same Structure: there are thousands of plain strings."""
    if "$ref" in raw:
        return builtin(raw["$ref"])
    text = msgspec.json.encode(raw)
    out = _inlined.get(text)
    if out is None:
        out = Structure(typed=True)
        _fill(out, raw)
        _inlined[text] = out
    return out


def compile(openapi: Mapping[str, Any]) -> Structure:
    """The structure of a custom resource from the openAPIV3Schema of its version.

    apiVersion, kind and metadata are always known, as upstream's structural schemas have it
    (apiextensions-apiserver/pkg/apiserver/schema).
    """
    out = _custom(openapi)
    _as_resource(out)
    out.source = openapi
    return out


def compile_value(openapi: Mapping[str, Any]) -> Structure:
    """The structure of a part of a custom resource."""
    return _custom(openapi)


def _as_resource(out: Structure) -> None:
    text = Structure("string")
    meta = builtin(OBJECT_META)
    out.type = out.type or "object"
    out.properties = {**out.properties, "apiVersion": text, "kind": text, "metadata": meta}


def _custom(raw: Mapping[str, Any]) -> Structure:
    out = Structure(raw.get("type") or "")
    out.source = raw
    out.format = raw.get("format") or ""
    out.nullable = bool(raw.get("nullable"))
    out.preserve_unknown = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
    out.int_or_string = bool(raw.get("x-kubernetes-int-or-string"))
    out.embedded = bool(raw.get("x-kubernetes-embedded-resource"))
    out.default = raw.get("default")
    out.rules = tuple(raw.get("x-kubernetes-validations") or ())
    out.required = tuple(raw.get("required") or ())
    if raw.get("properties"):
        out.properties = {name: _custom(sub) for name, sub in raw["properties"].items()}
    out.defaults = tuple(
        (name, sub["default"], False)
        for name, sub in (raw.get("properties") or {}).items()
        if sub.get("default") is not None
    )
    additional = raw.get("additionalProperties")
    if isinstance(additional, Mapping):
        out.additional = _custom(additional)
    elif additional is True:
        out.additional = ANY
    elif additional is False:
        out.additional_forbidden = True
    items = raw.get("items")
    if isinstance(items, Mapping):
        out.items = _custom(items)
    _fill_lists(out, raw)
    _fill_limits(out, raw)
    if out.embedded:
        _as_resource(out)
    return out


def _fill_limits(out: Structure, raw: Mapping[str, Any]) -> None:
    out.enum = tuple(raw["enum"]) if raw.get("enum") is not None else None
    out.minimum, out.maximum = raw.get("minimum"), raw.get("maximum")
    out.exclusive_minimum = bool(raw.get("exclusiveMinimum"))
    out.exclusive_maximum = bool(raw.get("exclusiveMaximum"))
    out.multiple_of = raw.get("multipleOf")
    out.min_length, out.max_length = raw.get("minLength"), raw.get("maxLength")
    out.min_items, out.max_items = raw.get("minItems"), raw.get("maxItems")
    out.min_properties, out.max_properties = raw.get("minProperties"), raw.get("maxProperties")
    out.unique_items = bool(raw.get("uniqueItems"))
    if raw.get("pattern"):
        out.pattern = Regexp(raw["pattern"])
    out.all_of = tuple(map(_custom, raw.get("allOf") or ()))
    out.any_of = tuple(map(_custom, raw.get("anyOf") or ()))
    out.one_of = tuple(map(_custom, raw.get("oneOf") or ()))
    if isinstance(raw.get("not"), Mapping):
        out.not_ = _custom(raw["not"])
