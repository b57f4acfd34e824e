"""Lists (library.Lists), and the insertions that comprehensions with two variables make into maps.

Left out, because implementations cannot answer them: sum, min and max of durations and times.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from cel_expr_python import cel

from minikube.schema.cel_library.values import BOOL, DYN, INT, LIST, MAP, NO_OVERLOAD, STRING, UINT, Library
from minikube.schema.patch import equal


def _alike(function: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    def checked(values: list[Any]) -> Any:
        try:
            return function(values)
        except TypeError as error:
            raise ValueError(NO_OVERLOAD) from error

    return checked


def _sum(values: list[Any]) -> Any:
    total, *rest = values or [0]
    for each in rest:
        total += each
    return total


def _least(values: list[Any]) -> Any:
    if not values:
        raise ValueError("min called on empty list")
    return min(values)


def _greatest(values: list[Any]) -> Any:
    if not values:
        raise ValueError("max called on empty list")
    return max(values)


def _is_sorted(values: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(values))


def _index(values: list[Any], wanted: Any) -> int:
    return next((at for at, each in enumerate(values) if equal(each, wanted)), -1)


def _last_index(values: list[Any], wanted: Any) -> int:
    return next((at for at in range(len(values) - 1, -1, -1) if equal(values[at], wanted)), -1)


def _insert(into: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    if key in into:
        raise ValueError(f"insert failed: key {key} already exists")
    return {**into, key: value}


def _insert_all(into: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    for key, value in more.items():
        into = _insert(into, key, value)
    return into


FUNCTIONS: Library = {
    "cel.@mapInsert": (
        *((MAP, (MAP, key, DYN), _insert) for key in (STRING, INT, UINT, BOOL)),
        (MAP, (MAP, cel.Type.Map(STRING, DYN)), _insert_all),
    ),
}
MEMBERS: Library = {
    "sum": ((DYN, (LIST,), _alike(_sum)),),
    "min": ((DYN, (LIST,), _alike(_least)),),
    "max": ((DYN, (LIST,), _alike(_greatest)),),
    "isSorted": ((BOOL, (LIST,), _alike(_is_sorted)),),
    "indexOf": ((INT, (LIST, DYN), _index),),
    "lastIndexOf": ((INT, (LIST, DYN), _last_index),),
}
