"""YAML bodies as Go's parser reads them (sigs.k8s.io/yaml over go-yaml v2), built from the parser's events.

Plain scalars follow YAML 1.1 without its dates and base-60 numbers; map keys become strings; keys set twice are
named by line. Nothing recurses, and nesting and the expansion of aliases are bounded, so no body can hurt.
"""

from __future__ import annotations

import base64
import binascii
import copy
import re
from typing import Any

import msgspec
import yaml

from minikube.errors import BadRequest

MAX_DEPTH = 200
MAX_NODES = 1_000_000
"""Of a document with its aliases written out."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{word: True for base in ("y", "yes", "true", "on") for word in (base, base.capitalize(), base.upper())},
    **{word: False for base in ("n", "no", "false", "off") for word in (base, base.capitalize(), base.upper())},
}
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


class Yaml(msgspec.Struct, frozen=True):
    """The first document of a body and what strict decoding says of it."""

    tree: Any
    duplicates: list[str]


def decode_yaml(data: bytes) -> Yaml:
    """Raises BadRequest."""
    builder = _Builder()
    try:
        for event in yaml.parse(data, Loader=_LOADER):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.take(event)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise BadRequest(f"the object provided is unrecognized: couldn't parse YAML: {told}") from error
    return Yaml(builder.root, builder.duplicates)


class _Frame:
    """A list or map that is still open."""

    def __init__(self, value: Any, anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.size = 1
        self.key: str | None = None
        self.merged: list[dict[str, Any]] = []


class _Builder:
    def __init__(self) -> None:
        self.root: Any = None
        self.duplicates: list[str] = []
        self._open: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                text = event.value
                plain = event.implicit[0]
                self._add(scalar(text, event.tag, plain=plain), 1, event)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    raise _refused(f"unknown anchor '{event.anchor}' referenced")
                value, size = self._anchors[event.anchor]
                self._count(size)
                self._add(copy.deepcopy(value), size, event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                if len(self._open) == MAX_DEPTH:
                    raise _refused("exceeded max depth")
                if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
                    raise _refused("invalid map key")
                self._open.append(_Frame({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close(event)

    def _close(self, event: Any) -> None:
        frame = self._open.pop()
        for extra in frame.merged:
            for name, value in extra.items():
                frame.value.setdefault(name, value)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.value, frame.size)
        self._add(frame.value, frame.size, event, anchored=True)

    def _add(self, value: Any, size: int, event: Any, *, anchored: bool = False) -> None:
        self._count(1)
        if not anchored and getattr(event, "anchor", None) and not isinstance(event, yaml.AliasEvent):
            self._anchors[event.anchor] = (value, size)
        if not self._open:
            self.root = value
            return
        frame = self._open[-1]
        frame.size += size
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is None:
            frame.key = self._key(frame, value, event)
        else:
            name, frame.key = frame.key, None
            if name == "<<":
                frame.merged += _merged(value)
            else:
                frame.value[name] = value

    def _key(self, frame: _Frame, value: Any, event: Any) -> str:
        if isinstance(value, bool):
            name = "true" if value else "false"
        elif isinstance(value, str | int | float):
            name = str(value)
        else:
            raise _refused("invalid map key")
        if name in frame.value:
            line = event.start_mark.line + 1
            self.duplicates.append(f"line {line}: key {msgspec.json.encode(name).decode()} already set in map")
        return name

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _refused("document contains excessive aliasing")


def scalar(text: str, tag: str | None, *, plain: bool) -> Any:
    """The value of one scalar; quoted ones are strings. Raises BadRequest."""
    match tag:
        case "!" | "tag:yaml.org,2002:str":
            return text
        case "tag:yaml.org,2002:binary":
            try:
                return base64.b64decode(text).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise _refused("!!binary value contains invalid base64 data") from error
    if not plain and tag is None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text)
    if text.lstrip("+-").lower() in (".inf", ".nan"):
        raise _refused(f"json: unsupported value: {text}")
    return text


def _integer(digits: str) -> int | float | str:
    body = digits.lstrip("+-")
    octal = len(body) > 1 and body[0] == "0" and body.isdigit()
    try:
        value = int(digits, 8) if octal else int(digits, 0)
    except ValueError:
        return float(digits) if body.isdigit() else digits
    return value if -(2**63) <= value < 2**64 else float(value)


def _merged(value: Any) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in found):
        raise _refused("map merge requires map or sequence of maps as the value")
    return found


def _refused(why: str) -> BadRequest:
    return BadRequest(
        f"the object provided is unrecognized: couldn't parse YAML: error converting YAML to JSON: yaml: {why}"
    )
