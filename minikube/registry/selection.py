"""Which objects a request selects: by namespace, name, labels and fields."""

from __future__ import annotations

from collections.abc import Callable

from minikube.api.selectors import SelectorError, parse_fields, parse_labels
from minikube.errors import BadRequest
from minikube.registry.base import Selection
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind

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
    strategy = kind.strategy
    supported = COMMON | strategy.fields(kind.type()).keys() if fields else COMMON
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
            values.update(strategy.fields(stored.typed_as(kind)))
        return all(requirement.holds(values) for requirement in fields)

    return matches
