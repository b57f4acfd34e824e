"""Client, Lister and Informer: how everything except the API server itself reads and writes objects.

Two implementations of Client: `registry.local.LocalClient` (in process) and `client.http.HttpClient`
(TLS). One contract suite runs over both. All methods raise `minikube.errors.ApiError` subclasses.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from minikube.api.autoscaling_v1 import Scale
from minikube.api.meta import Key, Object, PartialObject, Resource, T

T_co = TypeVar("T_co", bound=Object, covariant=True)
T_contra = TypeVar("T_contra", bound=Object, contravariant=True)


class PatchType(enum.Enum):
    """The media type of a patch is `application/<value>`."""

    JSON = "json-patch+json"
    MERGE = "merge-patch+json"
    STRATEGIC = "strategic-merge-patch+json"
    APPLY = "apply-patch+yaml"


class ObjectList(msgspec.Struct, Generic[T], frozen=True):
    items: tuple[T, ...]
    resource_version: str
    continue_: str = ""


class WatchEvent(msgspec.Struct, Generic[T], frozen=True):
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK (of which only resource_version counts)."""

    type: str
    object: T


class Client(Protocol):
    """Selectors are strings as in the query (`app=web,tier in (a,b)`, `spec.nodeName=n1`)."""

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        """Raises NotFound."""
        ...

    async def list(
        self, kind: type[T], namespace: str = "", *, labels: str = "", fields: str = "", resource_version: str = ""
    ) -> ObjectList[T]:
        """In one answer, however many. `resource_version` "0": whatever the server has; unset: the most recent."""
        ...

    def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent[T]]]:
        """Raises Expired on entering, or while iterating, when the history is gone: list again."""
        ...

    async def create(self, obj: T, *, dry_run: bool = False) -> T:
        """What the server made of it, with name and uid. Raises AlreadyExists, Invalid, Forbidden."""
        ...

    async def update(self, obj: T, *, subresource: str = "") -> T:
        """PUT; a set metadata.resourceVersion is a precondition (Conflict). subresource "status" for statuses."""
        ...

    async def patch(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        patch: Mapping[str, Any] | Sequence[Any],
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
        force: bool = False,
    ) -> T:
        """`patch` is an object, for JSON a list of operations. `force` is for APPLY only.
        Raises NotFound, Conflict, Invalid."""
        ...

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
    ) -> None:
        """Returns when it is accepted: finalizers and grace may keep the object. `uid` and `resource_version` are
        preconditions. Raises NotFound, Conflict."""
        ...

    async def delete_collection(self, kind: type[T], namespace: str = "", *, labels: str = "") -> None: ...

    async def create_subresource(
        self, kind: type[Object], name: str, namespace: str, subresource: str, body: T
    ) -> T:
        """POST to pods/binding, pods/eviction, serviceaccounts/token …; answers what the server answers."""
        ...

    async def get_scale(self, resource: Resource, name: str, namespace: str = "") -> Scale:
        """Raises NotFound also when the kind has no /scale."""
        ...

    async def set_scale(self, resource: Resource, name: str, namespace: str = "", *, replicas: int) -> Scale:
        """Raises NotFound also when the kind has no /scale."""
        ...

    # Objects of a kind known only at run time (garbage collection, namespace deletion, custom resources).

    async def get_partial(self, resource: Resource, name: str, namespace: str = "") -> PartialObject: ...

    async def list_partial(self, resource: Resource, namespace: str = "") -> ObjectList[PartialObject]: ...

    async def patch_partial(
        self, resource: Resource, name: str, namespace: str = "", *, patch: Mapping[str, Any]
    ) -> PartialObject:
        """A merge patch."""
        ...

    async def delete_partial(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        propagation_policy: str = "",
    ) -> None: ...

    async def resources(self) -> Sequence[Resource]:
        """Every listable, deletable kind in its preferred version, custom ones included (discovery)."""
        ...

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """A raw API request, JSON in and out; for the few paths that no method above covers."""
        ...


class Lister(Protocol[T_co]):
    """The present, from memory. What it returns is shared and immutable."""

    def get(self, name: str, namespace: str = "") -> T_co | None: ...

    def list(self, namespace: str = "") -> Sequence[T_co]:
        """All objects (of one namespace if given), in no particular order."""
        ...

    def by_index(self, index: str, value: str) -> Sequence[T_co]:
        """Objects for which the index function named `index` yields `value`. Indexes that always exist:
        "owner" (uid of every owner reference); more are given when the informer is made."""
        ...


class Handler(Protocol[T_contra]):
    """Told of every change after the lister shows it. Synchronous: put a key in a queue, no more."""

    def __call__(self, old: T_contra | None, new: T_contra | None, /) -> None:
        """old None: added; new None: deleted. A resync after a relist is told as changes."""
        ...


class IndexFunction(Protocol):
    def __call__(self, obj: Any) -> Iterable[str]: ...


class Informer(Protocol[T]):  # type: ignore[misc]
    """A lister kept current by list and watch. One per kind, shared."""

    @property
    def lister(self) -> Lister[T]: ...

    async def wait_synced(self) -> None:
        """Returns when the first list has been taken in."""
        ...

    def add_handler(self, handler: Handler[T]) -> None:
        """Also told, as additions, of everything that is already there."""
        ...

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Idempotent for the same name; indexes what is already there."""
        ...


class Informers(Protocol):
    """The shared informers of one process: asking twice for a kind gives the same one."""

    def of(self, kind: type[T], *, namespace: str = "", fields: str = "") -> Informer[T]: ...

    async def run(self) -> None:
        """Keep every informer current (also those asked for later) until cancelled."""
        ...


class PartialInformers(Informers, Protocol):
    """Informers that also follow kinds known only at run time."""

    def partial(self, resource: Resource) -> Informer[PartialObject]:
        """The same one for the same kind as long as that is served. Raises NotFound when it is not."""
        ...


__all__ = [
    "Client", "Handler", "IndexFunction", "Informer", "Informers", "Key", "Lister", "ObjectList",
    "PartialInformers", "PatchType", "WatchEvent",
]  # fmt: skip
