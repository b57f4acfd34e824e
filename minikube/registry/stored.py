"""One object at one revision, as bytes; everything else of it is made on first demand and shared.

The stored JSON starts with its metadata and has no resourceVersion: the revision is spliced in behind the
opening brace when the bytes are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from minikube.api.meta import Object, OwnerReference, PartialObject, decode
from minikube.errors import InternalError
from minikube.registry.shape import shape_of
from minikube.resources.base import Conversion, Kind, Obj, ReadOnlyObj
from minikube.schema import protobuf_encode
from minikube.store.base import Record

PREFIX = b'{"metadata":{'
KEPT_TWICE = 32 * 1024
"""Bytes of an object up to which its spliced form is kept; bigger ones are copied when they are sent."""
_decode_tree = msgspec.json.Decoder(dict[str, Any])


class Metadata(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What is kept decoded of every object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Mapping[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class _Head(msgspec.Struct, gc=False):
    metadata: Metadata


class _Version(msgspec.Struct, gc=False, rename="camel"):
    api_version: str


_decode_version = msgspec.json.Decoder(_Version)
_decode_head = msgspec.json.Decoder(_Head)


def to_bytes(obj: ReadOnlyObj) -> bytes:
    """The stored form of a plain object."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
    rest = {name: value for name, value in obj.items() if name != "metadata"}
    return msgspec.json.encode({"metadata": metadata, **rest})


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two encodings say the same, whatever the order of their fields."""
    if one == other:
        return True
    return len(one) == len(other) and _decode_tree.decode(one) == _decode_tree.decode(other)


class StoredObject:
    __slots__ = ("_converted", "_json", "_message", "_typed", "kind", "metadata", "record")

    def __init__(self, kind: Kind, record: Record) -> None:
        self.kind = kind
        self.record = record
        self.metadata = _decode_head.decode(record.value).metadata
        self._json: dict[str, tuple[Kind | None, bytes]] | bytes | None = None
        self._typed: Object | None = None
        self._message: tuple[str, bytes] | None = None
        self._converted: dict[str, tuple[Conversion, bytes]] | None = None

    @property
    def key(self) -> str:
        return self.record.key

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def revision(self) -> int:
        return self.record.revision

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.labels

    def json(self, kind: Kind) -> bytes:
        """The object in this version with its resourceVersion."""
        if kind.schema is None and kind.stored_as is None and kind.resource.version == self.kind.storage.version:
            return self._stored_json()
        if not isinstance(self._json, dict):
            self._json = {"": (None, self._stored_json())}
        version = kind.resource.api_version
        made_by, made = self._json.get(version, (None, b""))
        if made_by is not kind:
            made = msgspec.json.encode(self.tree(kind))
            self._json[version] = (kind, made)
        return made

    def protobuf(self, kind: Kind) -> bytes:
        """The message of a built-in kind in this version, without envelope."""
        version = kind.resource.api_version
        if self._message is not None and self._message[0] == version:
            return self._message[1]
        made = protobuf_encode.body(self.tree(kind), kind.definition)
        if len(made) <= KEPT_TWICE:
            self._message = (version, made)
        return made

    def tree(self, kind: Kind) -> ReadOnlyObj:
        """A fresh plain tree in this version; custom resources as their present schema prunes and defaults them."""
        obj = self.stored_tree()
        if kind.conversion is not None and obj["apiVersion"] != kind.resource.api_version:
            obj = _decode_tree.decode(self._numbered(self._kept(kind)))
        if kind.schema is not None:
            obj["apiVersion"] = kind.resource.api_version
            shape = shape_of(kind)
            shape.clean(obj)
            shape.default(obj)
            return obj
        if kind.stored_as is not None:
            obj = kind.from_stored(obj) if kind.from_stored else {**obj, "apiVersion": kind.resource.api_version}
        elif obj.get("apiVersion") != kind.resource.api_version:
            obj["apiVersion"] = kind.resource.api_version
        return obj

    def stored_tree(self) -> Obj:
        """A fresh plain tree as it is stored, with its resourceVersion."""
        found: Obj = _decode_tree.decode(self._stored_json())
        return found

    def lacks(self, kind: Kind) -> bool:
        """Whether a webhook has to be asked what it looks like in this version (registry/conversion.py)."""
        known = (self._converted or {}).get(kind.resource.api_version)
        if known is not None and known[0] == kind.conversion:
            return False
        return _decode_version.decode(self.record.value).api_version != kind.resource.api_version

    def keep(self, kind: Kind, made: bytes) -> None:
        """What the webhook made of it for this version, in stored form."""
        assert kind.conversion is not None
        self._converted = {**(self._converted or {}), kind.resource.api_version: (kind.conversion, made)}

    def moved(self, record: Record) -> StoredObject:
        """The same content under another revision."""
        found = StoredObject(self.kind, record)
        found._converted = self._converted
        return found

    def shed(self) -> None:
        """Let go of what was made on demand: of a state that is past only history needs something, and rarely.

        A decoded pod is four times as large as its bytes, and the history keeps thousands of states.
        """
        self._json = self._typed = self._message = None

    def _kept(self, kind: Kind) -> bytes:
        known = (self._converted or {}).get(kind.resource.api_version)
        if known is None:
            raise InternalError(
                f"{kind.resource.plural} {self.name} was not converted to {kind.resource.api_version}"
            )
        return known[1]

    def typed(self) -> Object:
        """The stored version's struct, decoded once."""
        if self._typed is None:
            self._typed = decode(self.kind.type, self._stored_json())
        return self._typed

    def partial(self) -> PartialObject:
        """The metadata alone, decoded anew each time: nothing of it is kept."""
        found = decode(PartialObject, self.record.value)
        metadata = msgspec.structs.replace(found.metadata, resource_version=str(self.record.revision))
        return msgspec.structs.replace(found, metadata=metadata)

    def typed_as(self, kind: Kind) -> Object:
        """The struct of this version."""
        return self.typed() if kind.stored_as is None else decode(kind.type, self.json(kind))

    def _stored_json(self) -> bytes:
        if isinstance(self._json, dict):
            return self._json[""][1]
        if self._json is not None:
            return self._json
        spliced = self._numbered(self.record.value)
        if len(spliced) <= KEPT_TWICE:
            self._json = spliced
        return spliced

    def _numbered(self, value: bytes) -> bytes:
        return b'%b"resourceVersion":"%d",%b' % (PREFIX, self.record.revision, value[len(PREFIX) :])
