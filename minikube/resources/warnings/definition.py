"""What custom resources and their definitions are told (apiextensions-apiserver)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from minikube.api.apiextensions_v1 import CustomResourceDefinition
from minikube.api.meta import PartialObject
from minikube.resources.base import Strategy
from minikube.resources.rules.invalid import quoted
from minikube.schema.formats import known_format

STANDARD_FINALIZERS = ("orphan", "foregroundDeletion")
_ONE = ("items", "additionalProperties", "not", "additionalItems")
_MANY = ("allOf", "anyOf", "oneOf")
_NAMED = ("properties", "patternProperties", "definitions")


class CustomResourceStrategy(Strategy[PartialObject]):
    """Of every custom resource: finalizers that somebody else might use, too, are named."""

    def warnings(self, new: PartialObject, old: PartialObject | None) -> Iterator[str]:
        before = old.metadata.finalizers if old is not None else ()
        for name in sorted(set(new.metadata.finalizers) - set(before)):
            if "/" not in name and name not in STANDARD_FINALIZERS:
                yield (
                    f"metadata.finalizers: {quoted(name)}: prefer a domain-qualified finalizer name including a "
                    "path (/) to avoid accidental conflicts with other finalizer writers"
                )


CUSTOM = CustomResourceStrategy()


def definition_warnings(new: CustomResourceDefinition, old: CustomResourceDefinition | None) -> Iterator[str]:
    """Formats that nobody checks; those that were there before are known."""
    before = set(_formats_of(old)) if old is not None else set()
    for name in dict.fromkeys(_formats_of(new)):
        if name not in before:
            yield f"unrecognized format {quoted(name)}"


def _formats_of(definition: CustomResourceDefinition) -> Iterator[str]:
    for version in definition.spec.versions:
        if version.schema is not None and version.schema.open_apiv3_schema is not None:
            yield from _formats(msgspec.to_builtins(version.schema.open_apiv3_schema))


def _formats(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    name = schema.get("format", "")
    if name and schema.get("type") == "string" and not known_format(name):
        yield name
    for field in _ONE:
        yield from _formats(schema.get(field))
    for field in _MANY:
        for one in schema.get(field) or ():
            yield from _formats(one)
    for field in _NAMED:
        for _, one in sorted((schema.get(field) or {}).items()):
            yield from _formats(one)
