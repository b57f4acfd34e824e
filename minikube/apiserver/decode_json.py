"""JSON bodies: decoded, and the fields named that they set more than once (sigs.k8s.io/json strict decoding)."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from minikube.errors import BadRequest

REPORTED = 100
"""Duplicates beyond these are not named."""


def decode_json(data: bytes) -> Any:
    """Raises BadRequest."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the object provided is unrecognized: couldn't parse JSON: {error}") from error


def duplicates(data: bytes) -> list[str]:
    """Every field that some object of this (valid) JSON text sets again, as strict decoding words it."""
    doubled = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal doubled
        doubled = doubled or len({name for name, _ in pairs}) != len(pairs)

    json.loads(data, object_pairs_hook=look)
    if not doubled:
        return []
    found: dict[str, None] = {}
    _search(json.loads(data, object_pairs_hook=_Pairs), "", found)
    return [f'duplicate field "{path}"' for path in list(found)[:REPORTED]]


class _Pairs(list[tuple[str, Any]]):
    """An object with all its fields in order."""


def _search(value: Any, path: str, found: dict[str, None]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, sub in value:
            place = f"{path}.{name}" if path else name
            if name in seen:
                found[place] = None
            seen.add(name)
            _search(sub, place, found)
    elif isinstance(value, list):
        for index, sub in enumerate(value):
            _search(sub, f"{path}[{index}]", found)
