"""Writes JSON trees of built-in kinds in the Kubernetes protobuf encoding; what `protobuf.decode` reads back.

A field that the tree does not have is not written: Go reads that as its zero value, or as nil of a pointer.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from minikube.kit.varint import varint
from minikube.schema.protobuf import (
    MAGIC,
    META,
    SCHEMA,
    SPECIAL,
    ProtobufError,
    json_name,
    message,
    message_of,
    messages,
)

Tree = Mapping[str, Any]
Write = Callable[[Any], bytes]
_json = msgspec.json.encode
LENGTH = 4
"""Bytes of the length before each event of a watch."""


def known(definition: str) -> bool:
    """Whether there is a message for this kind (by its full name, as in builtin.json)."""
    return bool(definition) and message_of(definition) in messages()


def body(obj: Tree, definition: str) -> bytes:
    """The message of an object, without its envelope. Raises ProtobufError."""
    return _message(message_of(definition))(obj)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """k8s.io/apimachinery runtime.Unknown behind the magic bytes."""
    return envelope_head(api_version, kind, len(raw)) + raw


def envelope_head(api_version: str, kind: str, size: int) -> bytes:
    """What comes before `size` bytes of a message."""
    return MAGIC + _field(1, _field(1, api_version.encode()) + _field(2, kind.encode())) + b"\x12" + varint(size)


def encode(obj: Tree, definition: str) -> bytes:
    """An object in its envelope. Raises ProtobufError."""
    return envelope(obj.get("apiVersion", ""), obj.get("kind", ""), body(obj, definition))


def list_head(metadata: Tree) -> bytes:
    """How the message of every list begins; `item`s follow."""
    return _field(1, _message(META + "ListMeta")(metadata))


def item(raw: bytes) -> bytes:
    return _field(2, raw)


def partial(metadata: Tree) -> bytes:
    """The message of a PartialObjectMetadata."""
    return _field(1, _message(META + "ObjectMeta")(metadata))


def event(type: str, enveloped: bytes) -> bytes:
    """One frame of a watch: a metav1.WatchEvent behind its length."""
    raw = _field(1, type.encode()) + _field(2, _field(1, enveloped))
    return struct.pack(">I", len(raw)) + raw


def _field(number: int, data: bytes) -> bytes:
    return b"%b%b%b" % (varint(number << 3 | 2), varint(len(data)), data)


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value)
    except (TypeError, ValueError, binascii.Error) as error:
        raise ProtobufError("bytes are not in base64") from error


_SCALARS: Mapping[str, Callable[[int], Write]] = {
    "string": lambda number: lambda value: _field(number, value.encode()),
    "bytes": lambda number: lambda value: _field(number, _bytes(value)),
    "bool": lambda number: lambda value: _number(number, int(value)),
    "int32": lambda number: lambda value: _number(number, value),
    "int64": lambda number: lambda value: _number(number, value),
    "double": lambda number: lambda value: varint(number << 3 | 1) + struct.pack("<d", value),
}


def _writer(number: int, label: str, kind: str) -> Write:
    """Writes the value of one field with its tag."""
    if label == "map":
        write = _writer(2, "optional", kind[4:-1].split(",", 1)[1])
        return lambda value: b"".join(
            _field(number, _field(1, key.encode()) + (b"" if sub is None else write(sub)))
            for key, sub in value.items()
        )
    if label == "repeated":
        one = _writer(number, "optional", kind)
        return lambda value: b"".join(map(one, value))
    if kind in _SCALARS:
        return _SCALARS[kind](number)
    return lambda value: _field(number, _message(kind)(value))


def _spoken(name: str) -> Iterator[str]:
    """The names in JSON of the fields of an embedded struct, and of those embedded in it."""
    found = message(name)
    for field, _, kind in found.fields.values() if found is not None else ():
        if found is not None and field in found.embedded:
            yield from _spoken(kind)
        else:
            yield field


@lru_cache(maxsize=2048)
def _message(name: str) -> Write:
    """Writes a JSON value as this message. Raises ProtobufError: it is not known."""
    special = _SPECIAL.get(name)
    if special is not None:
        return special
    found = message(name)
    if found is None or name in SPECIAL:
        raise ProtobufError(f"no protobuf message {name} is known")
    writers: dict[str, Write] = {}
    inside: dict[str, tuple[int, str]] = {}
    for number, (field, label, kind) in found.fields.items():
        if field in found.embedded:
            inside.update(dict.fromkeys(_spoken(kind), (int(number), kind)))
        else:
            spoken = json_name(field) if name == SCHEMA + "JSONSchemaProps" else field
            writers[spoken] = _writer(int(number), label, kind)

    def write(obj: Tree) -> bytes:
        parts: list[bytes] = []
        spread: dict[tuple[int, str], dict[str, Any]] = {}
        for field, value in obj.items():
            if value is None:
                continue
            if (known := writers.get(field)) is not None:
                parts.append(known(value))
            elif (place := inside.get(field)) is not None:
                spread.setdefault(place, {})[field] = value
        parts += [_field(number, _message(kind)(inner)) for (number, kind), inner in spread.items()]
        return b"".join(parts)

    return write


# ---- what JSON writes in its own way -------------------------------------------------------------------


def _time(text: str) -> bytes:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ProtobufError(f"{text} is no time") from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    seconds, nanos = int(at.timestamp()), at.microsecond * 1000
    return _number(1, seconds) + (_number(2, nanos) if nanos else b"")


def _int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return _number(1, 1) + _field(3, value.encode())
    return _number(1, 0) + _number(2, value)


def _schema_or_array(value: Any) -> bytes:
    schema = _message(SCHEMA + "JSONSchemaProps")
    if isinstance(value, list):
        return b"".join(_field(2, schema(each)) for each in value)
    return _field(1, schema(value))


def _schema_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return _number(1, int(value))
    return _number(1, 1) + _field(2, _message(SCHEMA + "JSONSchemaProps")(value))


def _schema_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(_field(2, each.encode()) for each in value)
    return _field(1, _message(SCHEMA + "JSONSchemaProps")(value))


def _strings(value: list[str]) -> bytes:
    return b"".join(_field(1, each.encode()) for each in value)


def _raw_json(value: Any) -> bytes:
    return _field(1, _json(value))


_SPECIAL: Mapping[str, Write] = {
    **{
        f"k8s.io.api.{group}.v1.ExtraValue": _strings
        for group in ("authentication", "authorization", "certificates")
    },
    META + "Verbs": _strings,
    META + "Time": _time,
    META + "MicroTime": _time,
    META + "FieldsV1": _raw_json,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": lambda value: _field(1, str(value).encode()),
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _raw_json,
    SCHEMA + "JSON": _raw_json,
    SCHEMA + "JSONSchemaPropsOrArray": _schema_or_array,
    SCHEMA + "JSONSchemaPropsOrBool": _schema_or_bool,
    SCHEMA + "JSONSchemaPropsOrStringArray": _schema_or_strings,
}
