"""An object or a list as bytes, in the view that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from minikube.apiserver import protobuf_views
from minikube.apiserver.negotiation import PROTOBUF, Wanted
from minikube.kit.turns import Turns
from minikube.registry.base import Change, Listing, Stored
from minikube.resources.base import Kind, ReadOnlyObj
from minikube.schema import protobuf_encode

PIECE = 256 * 1024
_encode = msgspec.json.encode
COLUMN_HELP = {
    "Name": (
        "Name must be unique within a namespace. Is required when creating resources, although some resources may "
        "allow a client to request the generation of an appropriate name automatically."
    )
}


def one(kind: Kind, stored: Stored, offer: Wanted, include: str, now: datetime, *, headers: bool = True) -> bytes:
    """`headers`: a Table says its columns."""
    view = offer.view
    if offer.media == PROTOBUF:
        return protobuf_views.one(kind, stored, view)
    if view == "Table":
        return msgspec.json.encode(table(kind, [stored], str(stored.revision), include, now, headers=headers))
    if view == "PartialObjectMetadata":
        return msgspec.json.encode(partial(kind, stored))
    return stored.json(kind)


def plain(tree: ReadOnlyObj, definition: str, offer: Wanted) -> bytes:
    """Of a built-in kind that is answered and never stored."""
    return protobuf_encode.encode(tree, definition) if offer.media == PROTOBUF else _encode(tree)


async def many(kind: Kind, listing: Listing, offer: Wanted, include: str, now: datetime) -> list[bytes]:
    """A list, in pieces: putting together 30 MB would hold up everybody, as encoding them in one go would."""
    meta: dict[str, Any] = {"resourceVersion": str(listing.revision)}
    if listing.continue_:
        meta["continue"] = listing.continue_
        if listing.remaining is not None:
            meta["remainingItemCount"] = listing.remaining
    view = offer.view
    if offer.media == PROTOBUF:
        return await protobuf_views.many(kind, listing, view, meta)
    if view == "Table":
        head = {**table_head(kind, ""), "metadata": meta}
        return await _listed(head, "rows", listing.items, lambda one: _encode(_row(kind, one, include, now)))
    if view == "PartialObjectMetadata":
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
        return await _listed(head, "items", listing.items, lambda one: _encode(partial(kind, one)))
    head = {"kind": kind.list_kind or f"{kind.resource.kind}List", "apiVersion": kind.resource.api_version}
    return await _listed({**head, "metadata": meta}, "items", listing.items, lambda one: one.json(kind))


async def _listed(
    head: dict[str, Any], field: str, items: Sequence[Stored], encode: Callable[[Stored], bytes]
) -> list[bytes]:
    """`head` and, as its last field, the encoded items."""
    pieces: list[bytes] = []
    present = [b'%b,"%b":[' % (_encode(head)[:-1], field.encode())]
    size, turns = 0, Turns()
    for number, item in enumerate(items):
        if number:
            present.append(b",")
        encoded = encode(item)
        present.append(encoded)
        size += len(encoded)
        if size > PIECE:
            pieces.append(b"".join(present))
            present, size = [], 0
        if turns.over:
            await turns.pass_on()
    present.append(b"]}")
    return [*pieces, b"".join(present)]


def partial(kind: Kind, stored: Stored) -> dict[str, Any]:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": stored.tree(kind)["metadata"],
    }


def table(
    kind: Kind, items: Sequence[Stored], revision: str, include: str, now: datetime, *, headers: bool = True
) -> dict[str, Any]:
    """meta.k8s.io/v1 Table; `include` is Metadata (default), Object or None."""
    rows = [_row(kind, stored, include, now) for stored in items]
    return {**table_head(kind, revision, headers=headers), "rows": rows}


def table_head(kind: Kind, revision: str, *, headers: bool = True) -> dict[str, Any]:
    """A Table but for its rows."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description or COLUMN_HELP.get(column.name, ""),
                "priority": column.priority,
            }
            for column in kind.columns
        ]
        if headers
        else None,
    }


def _row(kind: Kind, stored: Stored, include: str, now: datetime) -> dict[str, Any]:
    shown = stored.tree(kind) if kind.schema is not None else stored.typed_as(kind)
    row: dict[str, Any] = {"cells": list(kind.row(shown, now))}
    if include == "Object":
        row["object"] = stored.tree(kind)
    elif include != "None":
        row["object"] = partial(kind, stored)
    return row


def change(kind: Kind, type: str, body: bytes) -> bytes:
    """One line of a watch."""
    return b'{"type":"%b","object":%b}\n' % (type.encode(), body)


def bookmark(kind: Kind, one: Change, view: str, *, headers: bool = True) -> bytes:
    """An object that has nothing but a revision, in the view of the watch; no creationTimestamp, since 1.34."""
    metadata: dict[str, Any] = {"resourceVersion": str(one.revision)}
    if one.initial_events_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    resource = kind.resource
    body: dict[str, Any] = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    if view:
        body = {**body, "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    if view == "Table":
        body = {**table_head(kind, str(one.revision), headers=headers), "rows": [{"cells": [], "object": body}]}
    return change(kind, "BOOKMARK", msgspec.json.encode(body))
