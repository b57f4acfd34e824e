"""What the registry offers the API server and the local client: objects as stored bytes, under the API's rules.

All methods raise `minikube.errors.ApiError` subclasses, worded as kube-apiserver words them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from minikube.api.meta import Object
from minikube.auth.base import User
from minikube.client.base import PatchType
from minikube.resources.base import Kind, Obj, ReadOnlyObj


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes, and how."""

    user: User
    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Ignore"
    """Ignore, Warn or Strict."""
    duplicates: Sequence[str] = ()
    """What the body sets twice, in the words of strict decoding."""
    force: bool = False
    """Of an apply patch."""
    warnings: list[str] = msgspec.field(default_factory=list)
    """Filled while the request is worked on; the API server sends them as Warning headers."""
    warned: bool = True
    """Somebody reads the warnings; else the kind's own are not looked for."""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    """What admission notes for the audit log."""


class Stored(Protocol):
    """One object at one revision, shared by everybody who reads it. Treat whatever it returns as immutable."""

    @property
    def key(self) -> str: ...

    @property
    def namespace(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def uid(self) -> str: ...

    @property
    def revision(self) -> int: ...

    @property
    def labels(self) -> Mapping[str, str]: ...

    def json(self, kind: Kind) -> bytes:
        """The object in this version, resourceVersion spliced in; encoded once."""
        ...

    def protobuf(self, kind: Kind) -> bytes:
        """Its protobuf message in this version, without envelope; of built-in kinds. Encoded once."""
        ...

    def tree(self, kind: Kind) -> ReadOnlyObj:
        """Decoded to plain JSON (not kept)."""
        ...

    def typed(self) -> Object:
        """Decoded to the stored version's struct, once."""
        ...

    def typed_as(self, kind: Kind) -> Object:
        """Decoded to the struct of this version."""
        ...


class Selection(msgspec.Struct, frozen=True):
    """Label and field selector as in the query."""

    labels: str = ""
    fields: str = ""


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """metav1.ListOptions of a list: at most `limit` objects (0: all), from where `continue_` ended."""

    resource_version: str = ""
    """Unset: the most recent state; "0": any; else one at least as new, or, by the match, that very one."""
    resource_version_match: str = ""
    """NotOlderThan or Exact."""
    limit: int = 0
    continue_: str = ""


class WatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """metav1.ListOptions of a watch."""

    resource_version: str = ""
    """Changes after this one; unset or "0": everything that is there comes first, as if it were added now."""
    bookmarks: bool = False
    send_initial_events: bool = False
    """Everything that is there comes first in any case; a bookmark marks its end."""
    name: str = ""
    """Only of the object of this name."""


class Listing(msgspec.Struct, frozen=True):
    items: Sequence[Stored]
    revision: int
    continue_: str = ""
    remaining: int | None = None


class Change(msgspec.Struct, frozen=True):
    """One event of a watch. ADDED, MODIFIED, DELETED; BOOKMARK has no object but a revision; ERROR a status."""

    type: str
    revision: int
    object: Stored | None = None
    initial_events_end: bool = False
    status: ReadOnlyObj | None = None


class DeleteOptions(msgspec.Struct, frozen=True, rename="camel"):
    """metav1.DeleteOptions. Read with msgspec.convert(strict=False) from body or query."""

    grace_period_seconds: int | None = None
    propagation_policy: str | None = None
    orphan_dependents: bool | None = None
    dry_run: tuple[str, ...] = ()
    preconditions: Mapping[str, str] = {}


Alter = Callable[[ReadOnlyObj], Obj]
"""From the present object (in the request's version) to the wanted one; may be called more than once."""


class Written(msgspec.Struct, frozen=True):
    object: Stored
    created: bool = False


class Registry(Protocol):
    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind served at this path, custom ones included."""
        ...

    def kinds(self) -> Sequence[Kind]:
        """All that is served now, in discovery order."""
        ...

    def object_counts(self) -> Iterable[tuple[str, str, int]]:
        """(group, plural, number of stored objects) of every stored kind."""
        ...

    async def get(self, kind: Kind, namespace: str, name: str, *, resource_version: str = "") -> Stored:
        """`resource_version`: at least as new as this. Raises NotFound."""
        ...

    async def list(self, kind: Kind, namespace: str, selection: Selection, options: ListOptions) -> Listing:
        """One page. Raises Expired, BadRequest, Invalid."""
        ...

    def watch(
        self, kind: Kind, namespace: str, selection: Selection, options: WatchOptions
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Change]]]:
        """Batches of changes. What ends a watch (its history is gone, …) is its last change, of type ERROR; a watch
        of a kind that is withdrawn just ends."""
        ...

    async def create(self, kind: Kind, namespace: str, obj: Obj, request: Request, *, name: str = "") -> Stored:
        """`name`: the one of the URL, if any. Raises AlreadyExists, BadRequest, Invalid, Forbidden."""
        ...

    async def update(
        self, kind: Kind, namespace: str, name: str, obj: Obj, request: Request, *, subresource: str = ""
    ) -> Written:
        """A set metadata.resourceVersion is a precondition. Raises NotFound, Conflict, BadRequest, Invalid."""
        ...

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        type: PatchType,
        request: Request,
        *,
        subresource: str = "",
    ) -> Written:
        """As `update`, of the present object; repeated if somebody else wrote first, unless it names a revision."""
        ...

    async def change(
        self, kind: Kind, namespace: str, name: str, change: Alter, request: Request, subresource: str
    ) -> Written:
        """As a patch, by whatever `change` makes of the present object."""
        ...

    async def delete(
        self, kind: Kind, namespace: str, name: str, options: DeleteOptions, request: Request
    ) -> tuple[Stored, bool]:
        """The object and whether it is gone (True) or only marked (False)."""
        ...

    async def delete_collection(
        self, kind: Kind, namespace: str, selection: Selection, options: DeleteOptions, request: Request
    ) -> Listing: ...
