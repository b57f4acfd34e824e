"""What the schema engine does for one kind: clean, default, validate. One Shape a kind, built on first use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from minikube.errors import FieldError, UnsupportedMediaType
from minikube.registry.base import Request
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.schema.clean import clean
from minikube.schema.defaults import apply_defaults
from minikube.schema.structure import Structure, builtin


class Shape:
    def __init__(self, structure: Structure) -> None:
        self.structure = structure

    def clean(self, obj: Obj) -> list[str]:
        """Drop nulls and unknown fields; the paths of the latter. Raises schema.clean.WrongType."""
        return clean(obj, self.structure)

    def default(self, obj: Obj) -> None:
        apply_defaults(obj, self.structure)

    def validate(self, obj: ReadOnlyObj) -> Iterator[FieldError]:
        """Built-in kinds are validated by their strategy, custom ones by their schema."""
        yield from ()

    def track(self, old: ReadOnlyObj | None, new: Obj, request: Request, subresource: str, now: datetime) -> None:
        """managedFields come with server-side apply; until then objects carry none."""
        new["metadata"].pop("managedFields", None)

    def applied_new(self, patch: Obj, name: str, request: Request, now: datetime) -> Obj:
        raise UnsupportedMediaType("server-side apply is not supported yet")


_shapes: dict[str, Shape] = {}


def shape_of(kind: Kind) -> Shape:
    shape = _shapes.get(kind.definition)
    if shape is None:
        shape = _shapes[kind.definition] = Shape(builtin(kind.definition))
    return shape
