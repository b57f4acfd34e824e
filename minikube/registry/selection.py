"""Which objects a request selects: by namespace, name, labels and fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from minikube.api.selectors import SelectorError, parse_fields, parse_labels
from minikube.errors import BadRequest
from minikube.registry.base import Selection
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind
from minikube.schema.jsonpath import find

Matches = Callable[[StoredObject], bool]

COMMON = frozenset({"metadata.name", "metadata.namespace"})


def compile_selection(kind: Kind, selection: Selection, *, name: str = "") -> Matches | None:
    """None: everything matches. Raises BadRequest for what is not a selector or not a field of this kind."""
    try:
        labels = parse_labels(selection.labels)
        fields = parse_fields(selection.fields)
    except SelectorError as error:
        raise BadRequest(str(error)) from error
    if not labels and not fields and not name:
        return None
    supported = COMMON | _fields_of(kind) if fields else COMMON
    for requirement in fields:
        if requirement.field not in supported:
            raise BadRequest(f"field label not supported: {requirement.field}")
    special = any(requirement.field not in COMMON for requirement in fields)

    def matches(stored: StoredObject) -> bool:
        if name and stored.name != name:
            return False
        if labels and not labels.matches(stored.labels):
            return False
        if not fields:
            return True
        values = {"metadata.name": stored.name, "metadata.namespace": stored.namespace}
        if special:
            values.update(_values_of(kind, stored))
        return all(requirement.holds(values) for requirement in fields)

    return matches


def _fields_of(kind: Kind) -> frozenset[str]:
    if kind.schema is not None:
        return frozenset(path.lstrip(".") for path in kind.selectable)
    return frozenset(kind.strategy.fields(kind.type()))


def _values_of(kind: Kind, stored: StoredObject) -> Mapping[str, str]:
    if kind.schema is None:
        return kind.strategy.fields(stored.typed_as(kind))
    tree = stored.tree(kind)
    return {path.lstrip("."): _text(find(tree, path)) for path in kind.selectable}


def _text(found: list[Any]) -> str:
    value = found[0] if found else ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
