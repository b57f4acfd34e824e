"""The definitions of an OpenAPI document: built-in ones with all they refer to, and those of custom resources."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from enum import IntEnum
from importlib import resources
from typing import Any

import msgspec

from minikube.schema.structure import OBJECT_META, raw_definition, raw_definitions

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
LIST_META = META + "ListMeta"
JSON = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"
Schema = dict[str, Any]


class Dialect(IntEnum):
    """Which OpenAPI is spoken; they differ in references, unions and what is allowed beside a $ref."""

    V2 = 2
    V3 = 3

    def reference(self, name: str) -> Schema:
        return {"$ref": f"#/{'definitions' if self == Dialect.V2 else 'components/schemas'}/{name}"}

    def described(self, schema: Schema, description: str) -> Schema:
        if not description:
            return schema
        if "$ref" in schema and self == Dialect.V3:
            return {"allOf": [schema], "default": {}, "description": description}
        return {"description": description, **schema}


QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
PATCH = META + "Patch"
# Definitions whose wire form the two dialects say differently.
SPECIAL: Mapping[str, Mapping[Dialect, Schema]] = {
    QUANTITY: {
        Dialect.V2: {"type": "string"},
        Dialect.V3: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    },
    INT_OR_STRING: {
        Dialect.V2: {"type": "string", "format": "int-or-string"},
        Dialect.V3: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    },
    META + "MicroTime": {dialect: {"type": "string", "format": "date-time"} for dialect in Dialect},
    META + "FieldsV1": {dialect: {"type": "object"} for dialect in Dialect},
    PATCH: {dialect: {"type": "object"} for dialect in Dialect},
    "io.k8s.apimachinery.pkg.runtime.RawExtension": {dialect: {"type": "object"} for dialect in Dialect},
}
TEXT_OF_PATCH = "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body."


def descriptions() -> Mapping[str, Mapping[str, str]]:
    """definition -> field (or "" for itself) -> text; empty if the package was built without them."""
    file = resources.files("minikube.schema").joinpath("descriptions.json.gz")
    try:
        packed = file.read_bytes()
    except FileNotFoundError:
        return {}
    found: dict[str, dict[str, str]] = msgspec.json.decode(gzip.decompress(packed), type=dict[str, dict[str, str]])
    return found


class Definitions:
    """The definitions of one document, `found` by name; including one includes what it refers to."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.found: dict[str, Schema] = {}
        self._texts = descriptions()

    def include(self, name: str, gvk: Mapping[str, str] | None = None) -> Schema:
        """A reference to this built-in definition, which will be in the document."""
        pending = [name]
        while pending:
            one = pending.pop()
            if one not in self.found:
                self.found[one] = self._builtin(one, pending)
        if gvk is not None:
            kinds = self.found[name].setdefault("x-kubernetes-group-version-kind", [])
            if gvk not in kinds:
                kinds.append(dict(gvk))
        return self.dialect.reference(name)

    def _builtin(self, name: str, pending: list[str]) -> Schema:
        texts = self._texts.get(name, {})
        special = SPECIAL.get(name)
        if special is not None:
            text = texts.get("", TEXT_OF_PATCH if name == PATCH else "")
            return self.dialect.described(dict(special[self.dialect]), text)
        if name not in raw_definitions():
            return {"type": "object"}
        raw = raw_definition(name)
        raw.pop("x-kubernetes-group-version-kind", None)
        if raw.pop("x-kubernetes-preserve-unknown-fields", False) and raw.get("type") != "object":
            raw.pop("type", None)
        out = self._converted(raw, pending)
        for field, text in texts.items():
            if field in out.get("properties", {}):
                out["properties"][field] = self.dialect.described(out["properties"][field], text)
        return self.dialect.described(out, texts.get("", ""))

    def _converted(self, raw: Schema, pending: list[str]) -> Schema:
        """builtin.json's form (full names as $ref, our own formats) in this dialect; consumes `raw`."""
        if "$ref" in raw:
            pending.append(raw["$ref"])
            return self.dialect.reference(raw["$ref"])
        if "properties" in raw:
            raw["properties"] = {name: self._converted(sub, pending) for name, sub in raw["properties"].items()}
        for key in ("items", "additionalProperties"):
            if isinstance(raw.get(key), dict):
                raw[key] = self._converted(raw[key], pending)
        return raw

    def custom(self, name: str, schema: Mapping[str, Any], gvk: Mapping[str, str]) -> None:
        """A custom resource under this name, from its CRD schema."""
        if self.dialect == Dialect.V2 and schema.get("x-kubernetes-preserve-unknown-fields"):
            self.found[name] = {"type": "object", "x-kubernetes-group-version-kind": [dict(gvk)]}
            return
        out = structural(schema, self.dialect)
        out.setdefault("type", "object")
        own = self._texts.get("io.k8s.api.core.v1.ConfigMap", {})
        head = {
            "apiVersion": self.dialect.described({"type": "string"}, own.get("apiVersion", "")),
            "kind": self.dialect.described({"type": "string"}, own.get("kind", "")),
            "metadata": self.dialect.described(self.include(OBJECT_META), own.get("metadata", "")),
        }
        out["properties"] = {**out.get("properties", {}), **head}
        out["x-kubernetes-group-version-kind"] = [dict(gvk)]
        self.found[name] = out

    def custom_list(self, name: str, item: str, gvk: Mapping[str, str]) -> None:
        own = self._texts.get("io.k8s.api.core.v1.ConfigMapList", {})
        kind = gvk["kind"].removesuffix("List")
        self.found[name] = {
            "description": f"{gvk['kind']} is a list of {kind}",
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": self.dialect.described({"type": "string"}, own.get("apiVersion", "")),
                "items": {"type": "array", "items": self.dialect.reference(item)},
                "kind": self.dialect.described({"type": "string"}, own.get("kind", "")),
                "metadata": self.dialect.described(self.include(LIST_META), own.get("metadata", "")),
            },
            "x-kubernetes-group-version-kind": [dict(gvk)],
        }


# What Swagger 2.0 cannot say is left out of it (apiextensions-apiserver ToStructuralOpenAPIV2).
NOT_IN_V2 = frozenset(
    {
        "oneOf", "anyOf", "allOf", "not", "nullable", "id", "$schema", "additionalItems", "patternProperties",
        "dependencies", "definitions",
    }
)  # fmt: skip


def structural(schema: Mapping[str, Any], dialect: Dialect) -> Schema:
    """A CRD schema as it is published.

    In v2 nullable values lose type and content, and what keeps unknown fields loses properties and items, because
    clients of v2 would take them for all there is.
    """
    two = dialect == Dialect.V2
    out: Schema = {}
    hidden: set[str] = set(NOT_IN_V2) if two else set()
    if two and schema.get("nullable"):
        hidden |= {"type", "items", "properties"}
    if two and schema.get("x-kubernetes-preserve-unknown-fields"):
        hidden |= {"items", "properties"}
    for key, value in schema.items():
        if key in hidden:
            continue
        if key == "properties" and isinstance(value, Mapping):
            out[key] = {name: structural(sub, dialect) for name, sub in value.items()}
        elif key in ("items", "additionalProperties", "not") and isinstance(value, Mapping):
            out[key] = structural(value, dialect)
        elif key in ("oneOf", "anyOf", "allOf") and isinstance(value, list):
            out[key] = [structural(sub, dialect) for sub in value]
        else:
            out[key] = value
    if two and out.get("type") == "array" and "items" not in out:
        del out["type"]
    if two and "required" in out:
        fields = schema.get("properties") or {}
        left = [name for name in out["required"] if not fields.get(name, {}).get("nullable")]
        out["required"] = left
        if not left:
            del out["required"]
    return out
