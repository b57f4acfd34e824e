"""Expressions inside objects: that they compile and answer the type asked for, in upstream's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikube.api.admissionregistration_v1 import MatchCondition
from minikube.api.names import qualified_name_problems
from minikube.errors import FieldError
from minikube.resources.invalid import at, duplicate, invalid, required, too_many
from minikube.schema.cel import CelError, compile

ADMISSION = ("object", "oldObject", "request")
"""The variables that every expression about a request can name."""
_MOST_CONDITIONS = 64


def expression(text: str, path: str, variables: tuple[str, ...], *types: str) -> Iterator[FieldError]:
    """`types`: what it may answer; none means anything."""
    if not text.strip():
        yield required(path)
        return
    try:
        compiled = compile(text, variables)
    except CelError as error:
        yield invalid(path, text, f"compilation failed: {error}")
        return
    if types and not compiled.may_be(*types):
        yield invalid(path, text, f"must evaluate to {' or '.join(types)}")


def match_conditions(
    conditions: Sequence[MatchCondition], path: str, variables: tuple[str, ...] = ADMISSION
) -> Iterator[FieldError]:
    if len(conditions) > _MOST_CONDITIONS:
        yield too_many(path, len(conditions), _MOST_CONDITIONS)
    names: set[str] = set()
    for index, condition in enumerate(conditions):
        where = at(path, index)
        yield from expression(condition.expression, f"{where}.expression", variables, "bool")
        if not condition.name:
            yield required(f"{where}.name")
        for why in qualified_name_problems(condition.name) if condition.name else ():
            yield invalid(f"{where}.name", condition.name, why)
        if condition.name in names:
            yield duplicate(f"{where}.name", condition.name)
        names.add(condition.name)
