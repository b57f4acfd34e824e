"""JSON bodies: decoded, and the fields named that they set more than once (sigs.k8s.io/json strict decoding)."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from minikube.errors import BadRequest

REPORTED = 100
"""Duplicates beyond these are not named."""


UNRECOGNIZED = "the object provided is unrecognized: couldn't parse JSON: "


def decode_json(data: bytes, refusal: str = UNRECOGNIZED) -> Any:
    """Raises BadRequest, which begins with `refusal`."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(refusal + syntax_problem(data, str(error))) from error


_AFTER = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
}


def syntax_problem(data: bytes, otherwise: str) -> str:
    """What Go's decoder says of text that is no JSON; `otherwise` where it would see no syntax error."""
    try:
        text = data.decode(errors="replace")
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
            return "unexpected end of JSON input"
        where = _AFTER.get(error.msg, "")
        if error.msg == "Expecting ',' delimiter":
            where = "after object key:value pair" if _in_object(text[: error.pos]) else "after array element"
        return f"invalid character {_quoted(text[error.pos])} {where}" if where else otherwise
    except RecursionError:
        return otherwise
    return otherwise


def _in_object(text: str) -> bool:
    """Whether the innermost bracket that is open at the end is a brace."""
    open_ones = []
    for sign in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        if sign in "{[":
            open_ones.append(sign)
        elif sign in "}]" and open_ones:
            open_ones.pop()
    return open_ones[-1:] == ["{"]


def _quoted(sign: str) -> str:
    """Go's %q of a rune, near enough."""
    return {"'": r"'\''", '"': "'\"'"}.get(sign) or f"'{json.dumps(sign)[1:-1]}'"


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
