"""The published state of a store in memory: what is current, what happened lately, and who is watching.

Pure bookkeeping on the loop's thread. Invariants: `published` only grows; `history` holds every event with
a revision above `floor`, in order; a watcher is a position in that history, so a slow one costs nothing and
one that is overtaken by the floor is told `Compacted`. Of big values less history is kept: what is over HEAVY bytes
and has been seen by every watcher is forgotten.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from minikube.store.base import Event, EventType, Page, Record
from minikube.store.errors import Compacted, FutureRevision

HEAVY = 16 * 1024 * 1024
BATCH = 500
"""Most events that a watcher is given at once, so that others get their turn."""


class _Watcher:
    """How far one has come."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Log:
    def __init__(self, *, published: int = 1, floor: int | None = None, history_limit: int = 10_000) -> None:
        self.current: dict[str, Record] = {}
        self.published = published
        self.floor = published if floor is None else floor
        self._limit = history_limit
        self._events: list[Event] = []
        self._revisions: list[int] = []
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._watchers: set[_Watcher] = set()

    def publish(self, events: Iterable[Event]) -> None:
        """Make these changes visible; their revisions ascend and are above `published`."""
        for event in events:
            record = event.record
            if event.type is EventType.DELETE:
                self.current.pop(record.key, None)
            else:
                self.current[record.key] = record
            self._remember(event)
            self.published = record.revision
        if self._bytes > HEAVY:
            self.forget(min(self._lightest(), *(each.position + 1 for each in self._watchers), self.published))
        if len(self._events) > self._limit * 2:
            self.forget(self._revisions[-self._limit])
        self._wake()

    def restore(self, current: Mapping[str, Record], events: Iterable[Event]) -> None:
        """Take over what a database remembers; `published` and `floor` stay."""
        self.current.update(current)
        for event in events:
            self._remember(event)

    def _remember(self, event: Event) -> None:
        self._events.append(event)
        self._revisions.append(event.record.revision)
        self._bytes += len(event.record.value)

    def _lightest(self) -> int:
        """The revision from which on the history has half of the bytes it may have."""
        left, count = self._bytes, 0
        while count < len(self._events) - 1 and left > HEAVY // 2:
            left -= len(self._events[count].record.value)
            count += 1
        return self._revisions[count]

    def forget(self, before: int) -> None:
        """Drop the history below revision `before`."""
        before = min(before, self.published + 1)
        keep = bisect_right(self._revisions, before - 1)
        self._bytes -= sum(len(event.record.value) for event in self._events[:keep])
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
        watcher = _Watcher(after)
        self._watchers.add(watcher)
        changes = self._follow(prefix, watcher)
        try:
            yield changes
        finally:
            self._watchers.discard(watcher)
            await changes.aclose()  # type: ignore[attr-defined]

    async def _follow(self, prefix: str, watcher: _Watcher) -> AsyncIterator[Sequence[Event]]:
        while True:
            while watcher.position >= self.published:
                await self._changed()
            if watcher.position < self.floor:
                raise Compacted(watcher.position, self.floor)
            begin = bisect_right(self._revisions, watcher.position)
            events = self._events[begin : begin + BATCH]
            watcher.position = events[-1].record.revision if events else self.published
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
