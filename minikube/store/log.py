"""The published state of a store in memory: what is current, what happened lately, and who is watching.

Pure bookkeeping on the loop's thread. Invariants: `published` only grows; `history` holds every event with
a revision above `floor`, in order; a watcher is a position in that history, so a slow one costs nothing and
one that is overtaken by the floor is told `Compacted`.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from minikube.store.base import Event, EventType, Page, Record
from minikube.store.errors import Compacted, FutureRevision

BATCH = 500
"""Most events that a watcher is given at once, so that others get their turn."""


class Log:
    def __init__(self, *, published: int = 1, floor: int | None = None, history_limit: int = 10_000) -> None:
        self.current: dict[str, Record] = {}
        self.published = published
        self.floor = published if floor is None else floor
        self._limit = history_limit
        self._events: list[Event] = []
        self._revisions: list[int] = []
        self._waiting: set[asyncio.Future[None]] = set()

    def publish(self, events: Iterable[Event]) -> None:
        """Make these changes visible; their revisions ascend and are above `published`."""
        for event in events:
            record = event.record
            if event.type is EventType.DELETE:
                self.current.pop(record.key, None)
            else:
                self.current[record.key] = record
            self._events.append(event)
            self._revisions.append(record.revision)
            self.published = record.revision
        if len(self._events) > self._limit * 2:
            self.forget(self._revisions[-self._limit])
        self._wake()

    def restore(self, current: Mapping[str, Record], events: Iterable[Event]) -> None:
        """Take over what a database remembers; `published` and `floor` stay."""
        self.current.update(current)
        for event in events:
            self._events.append(event)
            self._revisions.append(event.record.revision)

    def forget(self, before: int) -> None:
        """Drop the history below revision `before`."""
        before = min(before, self.published + 1)
        keep = bisect_right(self._revisions, before - 1)
        del self._events[:keep]
        del self._revisions[:keep]
        self.floor = max(self.floor, before - 1)
        self._wake()

    def snapshot(self, prefix: str, *, at: int | None, start: str, limit: int) -> Page:
        """Records below prefix as of a revision: the present with later changes undone."""
        revision = self.published if at is None else at
        if revision > self.published:
            raise FutureRevision(revision, self.published)
        if revision < self.floor:
            raise Compacted(revision, self.floor)
        found = {key: record for key, record in self.current.items() if key.startswith(prefix)}
        for event in reversed(self._events[bisect_right(self._revisions, revision) :]):
            key = event.record.key
            if not key.startswith(prefix):
                continue
            if event.previous is None:
                found.pop(key, None)
            else:
                found[key] = event.previous
        keys = sorted(key for key in found if key >= start)
        taken = keys[:limit] if limit else keys
        return Page(tuple(found[key] for key in taken), revision, len(keys) - len(taken))

    @asynccontextmanager
    async def watch(self, prefix: str, *, after: int) -> AsyncIterator[AsyncIterator[Sequence[Event]]]:
        if after > self.published:
            raise FutureRevision(after, self.published)
        if after < self.floor:
            raise Compacted(after, self.floor)
        changes = self._follow(prefix, after)
        try:
            yield changes
        finally:
            await changes.aclose()  # type: ignore[attr-defined]

    async def _follow(self, prefix: str, position: int) -> AsyncIterator[Sequence[Event]]:
        while True:
            while position >= self.published:
                await self._changed()
            if position < self.floor:
                raise Compacted(position, self.floor)
            begin = bisect_right(self._revisions, position)
            events = self._events[begin : begin + BATCH]
            position = events[-1].record.revision if events else self.published
            matching = [event for event in events if event.record.key.startswith(prefix)]
            if matching:
                yield matching

    async def _changed(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
