"""What the schema engine does for one kind: clean, default, validate. One Shape a kind, built on first use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from minikube.api.meta import Resource
from minikube.errors import BadRequest, FieldError
from minikube.registry.base import Request
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.schema.clean import clean
from minikube.schema.defaults import apply_defaults
from minikube.schema.managed import APPLY, UPDATE, Writer, apply, submitted, track
from minikube.schema.rules import broken_rules, has_rules
from minikube.schema.structure import Structure, builtin, compile
from minikube.schema.validate import UNRELATED, validate

_BLOCKING = frozenset({"FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"})
"""With errors of these reasons a schema's rules are not evaluated."""
_NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


class Shape:
    def __init__(self, structure: Structure, *, has_status: bool = False, custom: bool = False) -> None:
        self.structure = structure
        self.custom = custom
        self._ruled = custom and has_rules(structure)
        self.has_status = has_status

    def clean(self, obj: Obj) -> list[str]:
        """Drop nulls and unknown fields; the paths of the latter. Raises schema.clean.WrongType."""
        return clean(obj, self.structure)

    def default(self, obj: Obj) -> None:
        apply_defaults(obj, self.structure)

    def validate(self, obj: ReadOnlyObj, old: ReadOnlyObj | None) -> Iterator[FieldError]:
        """Built-in kinds are validated by their strategy, custom ones by their schema and then its rules."""
        if not self.custom:
            return
        wrong = list(validate(obj, self.structure, old=UNRELATED if old is None else old))
        yield from wrong
        if self._ruled and not any(error.reason in _BLOCKING for error in wrong):
            yield from broken_rules(obj, self.structure, old=UNRELATED if old is None else old)
        elif self._ruled:
            yield FieldError("<nil>", "FieldValueInvalid", f"Invalid value: null: {_NOT_CHECKED}")

    def track(self, old: ReadOnlyObj | None, new: Obj, request: Request, subresource: str, now: datetime) -> None:
        """Write into `new` which fields this request's manager now manages."""
        metadata = new["metadata"]
        live = old["metadata"].get("managedFields", ()) if old is not None else ()
        managed = submitted(metadata.pop("managedFields", None), live)
        entries = track(old, new, managed, self.structure, self._writer(new, request, subresource), stamp(now))
        if entries:
            metadata["managedFields"] = entries

    def apply(self, live: ReadOnlyObj | None, patch: Obj, request: Request, subresource: str, now: datetime) -> Obj:
        """The object that an apply patch (cleaned) makes of the live one, its managedFields included.

        Raises BadRequest and schema.managed.ApplyConflict.
        """
        if patch.get("metadata", {}).pop("managedFields", None):
            raise BadRequest("metadata.managedFields must be nil")
        entries = live["metadata"].get("managedFields", ()) if live is not None else ()
        writer = self._writer(patch, request, subresource, operation=APPLY)
        made = apply(live, patch, entries, self.structure, writer, stamp(now), force=request.force)
        made.object["metadata"] = {**made.object.get("metadata", {}), "managedFields": made.managed}
        return made.object

    def _writer(self, obj: ReadOnlyObj, request: Request, subresource: str, *, operation: str = UPDATE) -> Writer:
        if subresource == "status":
            reset: tuple[str, ...] = ("spec",)
        else:
            reset = ("status",) if self.has_status else ()
        return Writer(
            manager=request.field_manager or "unknown",
            api_version=obj.get("apiVersion", ""),
            operation=operation,
            subresource=subresource,
            reset=reset,
        )


def stamp(now: datetime) -> str:
    """RFC 3339 to the second, in UTC."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_shapes: dict[str, Shape] = {}
_custom: dict[Resource, tuple[Kind, Shape]] = {}


def shape_of(kind: Kind) -> Shape:
    if kind.schema is not None:
        known = _custom.get(kind.resource)
        if known is None or known[0] is not kind:
            made = Shape(compile(kind.schema), has_status=kind.status, custom=True)
            known = _custom[kind.resource] = (kind, made)
        return known[1]
    shape = _shapes.get(kind.definition)
    if shape is None:
        shape = _shapes[kind.definition] = Shape(builtin(kind.definition), has_status=kind.status)
    return shape
