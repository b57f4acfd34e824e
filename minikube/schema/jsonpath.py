"""The JSONPath of printer columns, scale and selectable fields: kubectl's dialect without its templates.

    .spec.replicas    .metadata.labels['a.b/c']    .spec.hosts[0]    .spec.ports[*].port
    .status.conditions[?(@.type=="Ready")].status
Rules: k8s.io/client-go/util/jsonpath.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterator[Any]]
"""What of a value the step leads to; nothing when it leads nowhere."""

_NAME = re.compile(r"(?:[^.\[\]\\'\"(){}\s]|\\.)+")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?")
_FILTER = re.compile(r"\?\(\s*(@[^=!<>]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?\)", re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


class JsonPathError(ValueError):
    """A path that cannot be read."""


@lru_cache(maxsize=4096)
def parse(path: str) -> tuple[Step, ...]:
    """Raises JsonPathError."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    text = text.removeprefix("$").removeprefix("@")
    steps: list[Step] = []
    position = 0
    while position < len(text):
        step, position = _step(text, position, first=not steps)
        if step is not None:
            steps.append(step)
    return tuple(steps)


def find(value: Any, path: str) -> list[Any]:
    """Everything the path leads to, in order. Raises JsonPathError."""
    found = [value]
    for step in parse(path):
        found = [after for before in found for after in step(before)]
    return found


def _step(text: str, position: int, *, first: bool) -> tuple[Step | None, int]:
    sign = text[position]
    if sign == "[":
        end = _closing(text, position)
        return _subscript(text[position + 1 : end].strip()), end + 1
    if sign == ".":
        position += 1
        if position == len(text):
            if first:
                return None, position
            raise JsonPathError("unexpected end of path after '.'")
        if text[position] == "[":
            return None, position
        if text[position] == "*":
            return _every, position + 1
    elif not first:
        raise JsonPathError(f"unrecognized character in path: {sign!r}")
    match = _NAME.match(text, position)
    if match is None:
        raise JsonPathError(f"unrecognized character in path: {text[position]!r}")
    return _field(re.sub(r"\\(.)", r"\1", match[0])), match.end()


def _closing(text: str, position: int) -> int:
    """Where the bracket that opens here is closed, quotes minded."""
    depth, quote, hidden = 0, "", False
    for index in range(position, len(text)):
        sign = text[index]
        if hidden:
            hidden = False
        elif sign == "\\":
            hidden = True
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "[]":
            depth += 1 if sign == "[" else -1
            if depth == 0:
                return index
    raise JsonPathError("unterminated array")


def _subscript(inside: str) -> Step:
    if inside == "*":
        return _every
    quoted = _QUOTED.fullmatch(inside)
    if quoted:
        return _field(_unquoted(quoted))
    if re.fullmatch(r"-?\d+", inside):
        return _element(int(inside))
    part = _SLICE.fullmatch(inside)
    if part:
        low, high = (int(bound) if bound else None for bound in part.groups())
        return lambda value: iter(value[low:high] if isinstance(value, list) else ())
    condition = _FILTER.fullmatch(inside)
    if condition:
        return _filter(condition[1], condition[2] or "", condition[3] or "")
    raise JsonPathError(f"invalid array index {inside}")


def _unquoted(match: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2])


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _element(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()


def _filter(left: str, sign: str, right: str) -> Step:
    path = left[1:]
    parse(path)
    wanted = _literal(right) if sign else None

    def holds(one: Any) -> bool:
        found = find(one, path)
        if not sign:
            return bool(found)
        try:
            return bool(found) and _COMPARE[sign](found[0], wanted)
        except TypeError:
            return False

    return lambda value: (one for one in value if holds(one)) if isinstance(value, list) else iter(())


def _literal(text: str) -> Any:
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        return _unquoted(quoted)
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise JsonPathError(f"unrecognized value in filter: {text}") from None
