"""The base of every typed object: metadata, the resource a kind is served as, encode, decode and replace."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import field

Quantity = str | int | float
"""A resource quantity as the wire has it; `minikube.api.quantity` reads it."""


def const(value: str) -> Any:
    """A field that always has this value and is always encoded (omit_defaults spares factories)."""
    return field(default_factory=lambda: value)


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Any immutable piece of an object. Unset is None, "", () or {}; required fields are always encoded."""


class Resource(msgspec.Struct, frozen=True):
    """Where a kind is served: group "" is core."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection (no name), of one object, or of its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{scope}/{self.plural}{tail}"


class OwnerReference(Part, frozen=True):
    api_version: str = field(default_factory=str)
    kind: str = field(default_factory=str)
    name: str = field(default_factory=str)
    uid: str = field(default_factory=str)
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Part, frozen=True):
    """metav1.ObjectMeta without managedFields: an update that leaves them out keeps them."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class ListMeta(Part, frozen=True):
    resource_version: str = ""
    continue_: str = field(default="", name="continue")
    remaining_item_count: int | None = None


class Object(Part, frozen=True):
    """A kind of the API. Subclasses say `resource`, `apiVersion` and `kind`."""

    resource: ClassVar[Resource]
    metadata: ObjectMeta = ObjectMeta()


class PartialObject(Object, frozen=True):
    """metav1.PartialObjectMetadata: what code that works over all kinds reads. Never PUT it."""

    api_version: str = field(default_factory=str)
    kind: str = field(default_factory=str)


T = TypeVar("T", bound=Object)


class Key(msgspec.Struct, frozen=True, order=True):
    """namespace (empty for cluster-scoped kinds) and name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Object) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)


@lru_cache(maxsize=256)
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


_encoder = msgspec.json.Encoder()


def decode(kind: type[T], data: bytes | memoryview) -> T:
    """The typed object in this JSON. Unknown fields are ignored. Raises msgspec.ValidationError."""
    decoded: T = _decoder(kind).decode(data)
    return decoded


def encode(obj: msgspec.Struct) -> bytes:
    """JSON without unset fields."""
    return _encoder.encode(obj)


def from_dict(kind: type[T], obj: Mapping[str, Any]) -> T:
    """The typed object that a plain JSON tree says. Raises msgspec.ValidationError."""
    return msgspec.convert(obj, kind)


def to_dict(obj: msgspec.Struct) -> dict[str, Any]:
    """The plain JSON tree of a typed object, without unset fields."""
    built: dict[str, Any] = msgspec.json.decode(_encoder.encode(obj))
    return built


def replace_meta(obj: T, **changes: Any) -> T:
    """A copy with these metadata fields changed."""
    return msgspec.structs.replace(obj, metadata=msgspec.structs.replace(obj.metadata, **changes))
