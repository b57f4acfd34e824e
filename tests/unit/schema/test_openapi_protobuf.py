"""The protobuf form of the Swagger document, read back field by field."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from minikube.apiserver.openapi import served
from minikube.resources.all import ALL
from minikube.schema import openapi
from minikube.schema.openapi_protobuf import Unknown, encode


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Length-delimited fields only: all that these tests look at."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            yield tag >> 3, data[at : at + size]
            at += size
        elif tag & 7 == 1:
            at += 8
        else:
            varint()


def named(data: bytes, number: int) -> dict[str, bytes]:
    return {dict(fields(pair))[1].decode(): dict(fields(pair))[2] for at, pair in fields(data) if at == number}


def test_every_built_in_kind_is_in_the_document() -> None:
    document = openapi.v2([served(kind) for kind in ALL])
    top = dict(fields(encode(document)))
    assert top[1] == b"2.0"
    assert named(top[8], 2).keys() == document["paths"].keys()
    assert named(top[9], 1).keys() == document["definitions"].keys()
    pod = named(top[9], 1)["io.k8s.api.core.v1.Pod"]
    assert set(named(dict(fields(pod))[25], 1)) == {"apiVersion", "kind", "metadata", "spec", "status"}
    [told] = named(pod, 31).values()
    assert msgspec.json.decode(dict(fields(told))[2]) == [{"group": "", "kind": "Pod", "version": "v1"}]


def test_what_is_not_known_raises() -> None:
    with pytest.raises(Unknown, match="Info with 'contact'"):
        encode({"swagger": "2.0", "info": {"contact": {}}})
