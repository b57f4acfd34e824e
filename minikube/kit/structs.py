"""What msgspec knows of a Struct's fields, found out once a type: it evaluates annotations anew at every call."""

from __future__ import annotations

from functools import cache

import msgspec


@cache
def fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """As `msgspec.structs.fields`, in the order in which they are declared."""
    return msgspec.structs.fields(kind)
