"""The few protobuf bytes that containerd's native API needs: fields by number, no generated code."""

from __future__ import annotations

from collections.abc import Iterator

from minikube.kit.varint import varint

Value = int | str | bytes


def encode(*fields: tuple[int, Value]) -> bytes:
    """A message of (number, value) pairs; empty values are left out as proto3 does."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            if value:
                out += varint(number << 3) + varint(value)
        else:
            body = value.encode() if isinstance(value, str) else value
            if body:
                out += varint(number << 3 | 2) + varint(len(body)) + body
    return bytes(out)


def decode(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in order."""
    at = 0
    while at < len(message):
        tag, at = _read(message, at)
        kind = tag & 7
        if kind == 0:
            number, at = _read(message, at)
            yield tag >> 3, number
            continue
        if kind == 2:
            size, at = _read(message, at)
        else:
            size = 8 if kind == 1 else 4
        yield tag >> 3, message[at : at + size]
        at += size


def entry(number: int, key: str, value: str) -> tuple[int, bytes]:
    """One entry of a map<string, string>."""
    return number, encode((1, key), (2, value))


def _read(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
