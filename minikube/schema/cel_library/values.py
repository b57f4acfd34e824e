"""What the libraries are made of: signatures, and opaque values: maps with one entry, their kind and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cel_expr_python import cel

BOOL, INT, DOUBLE, STRING = cel.Type.BOOL, cel.Type.INT, cel.Type.DOUBLE, cel.Type.STRING
UINT, DYN, LIST, MAP = cel.Type.UINT, cel.Type.DYN, cel.Type.LIST, cel.Type.MAP
Signature = tuple[cel.Type, tuple[cel.Type, ...], Callable[..., Any]]
"""(result, parameters, implementation)."""
Library = Mapping[str, tuple[Signature, ...]]
"""Functions by name."""
Opaque = Mapping[str, str]
NO_OVERLOAD = "no such overload"


def text_of(value: Opaque, *kinds: str) -> str:
    """Raises ValueError: it is of another kind."""
    for kind in kinds:
        if set(value) == {kind}:
            return value[kind]
    raise ValueError(NO_OVERLOAD)


def accepts(make: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether `make` makes something of a text."""

    def accepted(text: str) -> bool:
        try:
            make(text)
        except ValueError:
            return False
        return True

    return accepted
