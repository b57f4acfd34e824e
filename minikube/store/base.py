"""The Store protocol: a revisioned key-value store with watch. It knows bytes and revisions, no Kubernetes.

Every write takes the next revision of one order shared by all keys. Records become visible (to `get`,
`list`, `watch`) strictly in revision order, after they are durable; `published` is the highest visible
revision, and whoever reads the present reads it at `published`. Revisions never repeat, also after a
crash: a persisted ceiling is always ahead of what has been handed out.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """One version of one key. `created` is the revision in which this life of the key began."""

    key: str
    value: bytes
    revision: int
    created: int


class Page(msgspec.Struct, frozen=True):
    """Records of one snapshot in key order. `revision` is the snapshot's; `remaining` counts what follows."""

    records: tuple[Record, ...]
    revision: int
    remaining: int = 0


class EventType(enum.Enum):
    PUT = "put"
    DELETE = "delete"


class Event(msgspec.Struct, frozen=True, gc=False):
    """A change, in revision order. A DELETE's record has the deletion's revision and the last value."""

    type: EventType
    record: Record
    previous: Record | None = None


class Durability(enum.Enum):
    """How much a write has to survive before it is acknowledged."""

    DURABLE = "durable"  # a power cut
    BEHIND = "behind"  # written within 5 s and at a clean stop (Events)
    MEMORY = "memory"  # never written by itself: updates of a record that is durable (node heartbeats)


class Store(Protocol):
    """Errors raised are those of `minikube.store.errors`."""

    @property
    def published(self) -> int:
        """The highest revision that everybody can see. 1 in a new store."""
        ...

    async def current_revision(self) -> int:
        """The highest revision that any writer of a shared store has made; `published` on SQLite."""
        ...

    async def get(self, key: str) -> Record | None: ...

    async def list(self, prefix: str, *, at: int | None = None, start: str = "", limit: int = 0) -> Page:
        """Records below `prefix` as of revision `at` (default: published), from key `start` (inclusive) on.
        Raises Compacted (older than history) or FutureRevision."""
        ...

    async def create(self, key: str, value: bytes, *, durability: Durability = Durability.DURABLE) -> Record:
        """Raises KeyExists(current record)."""
        ...

    async def update(
        self, key: str, value: bytes, *, expect: int, durability: Durability = Durability.DURABLE
    ) -> Record:
        """Raises RevisionMismatch(current record or None)."""
        ...

    async def delete(self, key: str, *, expect: int, durability: Durability = Durability.DURABLE) -> Record:
        """The deletion: its record has the last value and the deletion's revision. Raises RevisionMismatch."""
        ...

    def watch(self, prefix: str, *, after: int) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Event]]]:
        """Batches of changes after revision `after`, in order, without gap. Raises Compacted on entering when
        they are no longer there, FutureRevision when `after` has not happened yet."""
        ...

    async def compact(self, before: int) -> None:
        """Forget every superseded version and tombstone older than revision `before`."""
        ...

    async def scrub(self) -> None:
        """Leave nothing that is superseded in the files; watchers still get the history that is in memory."""
        ...

    async def close(self) -> None:
        """Flush what is written behind and release the files."""
        ...
