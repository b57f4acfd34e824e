"""HTTP as the Go clients of the upstream suite speak it: built-in kinds go and come as protobuf, whatever has no
message as JSON. Tests write and read plain JSON all the same.

As in Go, a field that is no pointer is always written, be it zero; a watch is length-prefixed frames.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import urllib3

from minikube.resources.all import ALL
from minikube.schema import protobuf, protobuf_encode
from tests.api.raw import JSON, Answer, Http, lines

PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPT = f"{PROTOBUF}, */*"
SUBRESOURCES = {
    ("autoscaling/v1", "Scale"): "io.k8s.api.autoscaling.v1.Scale",
    ("policy/v1", "Eviction"): "io.k8s.api.policy.v1.Eviction",
    ("v1", "Binding"): "io.k8s.api.core.v1.Binding",
    ("authentication.k8s.io/v1", "TokenRequest"): "io.k8s.api.authentication.v1.TokenRequest",
    ("v1", "DeleteOptions"): "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    ("v1", "Status"): "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
}
DISCOVERY = ("APIGroup", "APIGroupList", "APIResourceList", "APIVersions")
STRUCTS = frozenset({"metadata", "spec", "status", "resources", "strategy", "updateStrategy", "template"})
"""Messages that Go has as plain structs, wherever a message has such a field,"""
POINTED = frozenset({"PodSpec.resources", "ContainerStatus.resources", "ReplicationControllerSpec.template"})
"""but these."""


EMPTY = {"EndpointSlice": ("endpoints", "ports")}
"""Lists that Go's JSON has in any case."""


@cache
def definitions() -> Mapping[tuple[str, str], str]:
    """Definition by (apiVersion, kind)."""
    kinds = {(kind.resource.api_version, kind.resource.kind): kind.definition for kind in ALL}
    return (
        kinds | SUBRESOURCES | {("v1", kind): f"io.k8s.apimachinery.pkg.apis.meta.v1.{kind}" for kind in DISCOVERY}
    )


class GoHttp(Http):
    def ask(self, method: str, path: str, body: Any = None, **how: Any) -> Answer:
        if how.get("accept", JSON) == JSON:
            how["accept"] = ACCEPT
        if isinstance(body, dict) and how.get("type", JSON) == JSON and "fieldValidation=" not in path:
            sent = encoded({"apiVersion": "v1", "kind": "DeleteOptions", **body} if method == "DELETE" else body)
            if sent is not None:
                body, how["type"] = sent, PROTOBUF
        answer = super().ask(method, path, body, **how)
        if how["accept"] == ACCEPT and answer.body.startswith(protobuf.MAGIC):
            answer.body = json.dumps(decoded(answer.body)).encode()
        return answer

    def events(self, path: str) -> list[dict[str, Any]]:
        return list(self.stream(path))

    def stream(self, path: str, seconds: float = 30) -> Iterator[dict[str, Any]]:
        response = self._pool.request(
            "GET", self.server + path, headers={"Accept": ACCEPT}, timeout=seconds, preload_content=False
        )
        assert response.status == 200, response.data
        frames = response.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
        return _events(response) if frames else lines(response)


def encoded(obj: Mapping[str, Any]) -> bytes | None:
    """As Go writes it; None if this kind has no message, or this object does not fit into it."""
    definition = definitions().get((obj.get("apiVersion", ""), obj.get("kind", "")))
    if definition is None or not protobuf_encode.known(definition):
        return None
    try:
        whole = _whole(obj, protobuf.message_of(definition))
        return protobuf_encode.encode({**whole, "apiVersion": obj["apiVersion"], "kind": obj["kind"]}, definition)
    except (protobuf.ProtobufError, TypeError, AttributeError, ValueError, struct.error):
        return None


def _whole(obj: Mapping[str, Any], name: str) -> dict[str, Any]:
    """With the zeros of all fields that are no pointers."""
    found = protobuf.message(name)
    assert found is not None
    out = dict(obj)
    for field, label, kind in found.fields.values():
        if label != "optional" or kind in protobuf.SPECIAL:
            if label == "repeated" and _spread(kind):
                out |= {field: [_whole(each, kind) for each in out[field]]} if out.get(field) else {}
        elif field in found.embedded:
            inner = protobuf.message(kind)
            assert inner is not None
            out |= _whole({key: out[key] for key, _, _ in inner.fields.values() if key in out}, kind)
        elif kind in ZEROS:
            if field not in found.zeros and field not in out:
                out[field] = ZEROS[kind]
        elif _spread(kind):
            there = field in STRUCTS and f"{name.rpartition('.')[2]}.{field}" not in POINTED
            inside = out.get(field, {} if there else None)
            out |= {} if inside is None else {field: _whole(inside, kind)}
    return out


ZEROS: Mapping[str, Any] = {"string": "", "int32": 0, "int64": 0, "bool": False}


def _spread(kind: str) -> bool:
    return "." in kind and kind not in protobuf.SPECIAL and protobuf.message(kind) is not None


def decoded(data: bytes) -> dict[str, Any]:
    """An object, a list or a Status."""
    api_version, kind, _ = protobuf._opened(data)
    name = definitions().get((api_version, kind)) or definitions()[api_version, kind.removesuffix("List")]
    found = protobuf.decode_answer(data, name)
    listed = "items" in found
    one = kind.removesuffix("List") if listed else kind
    for each in found["items"] if listed else (found,):
        each |= {"apiVersion": api_version, "kind": one}
        for field in EMPTY.get(one, ()):
            each.setdefault(field, None)
    return found


def _events(response: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    rest = b""
    try:
        for chunk in response.stream():
            rest += chunk
            while len(rest) >= 4 and len(rest) >= 4 + (size := struct.unpack(">I", rest[:4])[0]):
                event, rest = dict(protobuf._fields(rest[4 : 4 + size])), rest[4 + size :]
                yield {"type": event[1].decode(), "object": decoded(dict(protobuf._fields(event[2]))[1])}
    finally:
        response.close()
