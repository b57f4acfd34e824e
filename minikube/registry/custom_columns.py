"""Tables of custom resources, as additionalPrinterColumns say (apiextensions-apiserver's tableconvertor)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from minikube.resources.base import Column, ReadOnlyObj, age
from minikube.schema.jsonpath import find

HELP = "Custom resource definition column (in JSONPath format)"
AGE: Mapping[str, Any] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


class Printer:
    """The row of a custom resource; equal when the columns are."""

    def __init__(self, declared: Sequence[Mapping[str, Any]]) -> None:
        self.declared = list(declared)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Printer) and self.declared == other.declared

    def __hash__(self) -> int:
        return hash(len(self.declared))

    def __call__(self, obj: Any, now: datetime) -> Sequence[Any]:
        return [obj["metadata"]["name"], *(cell(obj, column, now) for column in self.declared)]


def printer(
    declared: Sequence[Mapping[str, Any]] | None,
) -> tuple[tuple[Column, ...], Callable[[Any, datetime], Sequence[Any]]]:
    """Columns and rows; without any columns, the age."""
    wanted = declared or [AGE]
    columns = [Column("Name", format="name")]
    for one in wanted:
        type = one["type"]
        help = (
            one.get("description") or f"Custom resource definition column (in JSONPath format): {one['jsonPath']}"
        )
        columns.append(Column(one["name"], type, one.get("format", ""), one.get("priority") or 0, help))
    return tuple(columns), Printer(wanted)


def cell(obj: ReadOnlyObj, column: Mapping[str, Any], now: datetime) -> Any:
    """The first of what the path finds, by the column's type; None when there is nothing that fits."""
    found = find(obj, column["jsonPath"])
    if not found:
        return None
    value = found[0]
    match column["type"]:
        case "date":
            try:
                return age(datetime.fromisoformat(value), now)
            except (TypeError, ValueError):
                return "<invalid>"
        case "integer":
            return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
    if isinstance(value, str):
        return value
    return None if value is None else msgspec.json.encode(value).decode()
