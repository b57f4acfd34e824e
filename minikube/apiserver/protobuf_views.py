"""Built-in kinds in the Kubernetes protobuf encoding: objects, lists, events of watches; whole or metadata only.

What has no message stays JSON: clients go by the Content-Type of each answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minikube.apiserver.negotiation import STATUS
from minikube.kit.turns import Turns
from minikube.registry.base import Change, Listing, Stored
from minikube.resources.base import Kind
from minikube.schema import protobuf_encode

META = "meta.k8s.io/v1"
PIECE = 256 * 1024


def one(kind: Kind, stored: Stored, view: str) -> bytes:
    if view:
        return protobuf_encode.envelope(META, view, _raw(kind, stored, view))
    resource = kind.resource
    return protobuf_encode.envelope(resource.api_version, resource.kind, _raw(kind, stored, view))


async def many(kind: Kind, listing: Listing, view: str, metadata: Mapping[str, Any]) -> list[bytes]:
    """In pieces; the envelope says how long the list is, so all of it is encoded first."""
    items: list[bytes] = []
    turns = Turns()
    for stored in listing.items:
        items.append(protobuf_encode.item(_raw(kind, stored, view)))
        if turns.over:
            await turns.pass_on()
    head = protobuf_encode.list_head(metadata)
    version, name = kind.resource.api_version, kind.list_kind or f"{kind.resource.kind}List"
    if view:
        version, name = META, f"{view}List"
    size = len(head) + sum(map(len, items))
    return [protobuf_encode.envelope_head(version, name, size) + head, *_pieces(items)]


def change(kind: Kind, one_: Change, view: str) -> bytes:
    """One frame of a watch."""
    if one_.type == "ERROR":
        return protobuf_encode.event("ERROR", protobuf_encode.encode(one_.status or {}, STATUS))
    if one_.type == "BOOKMARK":
        return protobuf_encode.event("BOOKMARK", _bookmark(kind, one_, view))
    assert one_.object is not None
    return protobuf_encode.event(one_.type, one(kind, one_.object, view))


def _bookmark(kind: Kind, bookmark: Change, view: str) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(bookmark.revision)}
    if bookmark.initial_events_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    resource = kind.resource
    version, name = (META, view) if view else (resource.api_version, resource.kind)
    return protobuf_encode.envelope(version, name, protobuf_encode.partial(metadata))


def _raw(kind: Kind, stored: Stored, view: str) -> bytes:
    if view:
        return protobuf_encode.partial(stored.tree(kind)["metadata"])
    return stored.protobuf(kind)


def _pieces(parts: Iterable[bytes]) -> Iterable[bytes]:
    present: list[bytes] = []
    size = 0
    for part in parts:
        present.append(part)
        size += len(part)
        if size > PIECE:
            yield b"".join(present)
            present, size = [], 0
    if present:
        yield b"".join(present)
