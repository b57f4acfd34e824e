"""One watch: a position in the history of a bucket, and what somebody with its selection sees from there on.

First what is there, if asked for, then every change, until the kind is withdrawn or the watch was overtaken by the
floor of the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from minikube.errors import ApiError, Expired
from minikube.registry.base import Change, WatchOptions
from minikube.registry.cache import Bucket, Cache
from minikube.registry.conversion import Converting
from minikube.registry.history import Change as CacheChange
from minikube.registry.selection import Matches
from minikube.registry.snapshot import Snapshot
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind

BOOKMARK_SECONDS = 60.0


class Watch:
    """Of `bucket`, after the revision `position`; read `batches` once."""

    def __init__(
        self,
        cache: Cache,
        converting: Converting,
        bucket: Bucket,
        namespace: str,
        matches: Matches | None,
        position: int,
        options: WatchOptions,
    ) -> None:
        self._cache, self._converting, self._bucket = cache, converting, bucket
        self._namespace, self._matches = namespace, matches
        self._position = self._told = position
        self._bookmarks = options.bookmarks
        self._end_marked = options.bookmarks and options.send_initial_events
        self._due = 0.0

    async def batches(self, kind: Kind, initial: Snapshot | None) -> AsyncIterator[Sequence[Change]]:
        """Objects are shown in the version of `kind`; those of `initial` come first, and it is closed."""
        if initial is not None:
            for chunk in initial.chunks():
                added = [Change("ADDED", stored.revision, stored) for _, stored in chunk if self._selects(stored)]
                if added:
                    yield added
                await asyncio.sleep(0)
            initial.close()
        if self._end_marked:
            yield [Change("BOOKMARK", self._position, initial_events_end=True)]
        self._due = asyncio.get_running_loop().time() + BOOKMARK_SECONDS
        try:
            while (changes := self._since()) or not self._bucket.withdrawn:
                selected = await self._seen(kind, changes) if changes else await self._rest()
                if selected:
                    self._told = selected[-1].revision
                    yield selected
        except ApiError as error:
            yield [Change("ERROR", self._position, status=error.status())]

    def _since(self) -> Sequence[CacheChange]:
        """What has changed after the position. Raises Expired."""
        if self._position < self._bucket.floor:
            raise Expired(f"too old resource version: {self._position} ({self._bucket.floor})")
        return self._bucket.since(self._position)

    async def _seen(self, kind: Kind, changes: Sequence[CacheChange]) -> Sequence[Change]:
        self._position = changes[-1].revision
        await self._converting.show(kind, _states(changes))
        return [seen for change in changes if (seen := self._transition(change)) is not None]

    async def _rest(self) -> Sequence[Change]:
        """Nothing has changed: wait until something does, or a bookmark is due that says how far this is."""
        self._position = max(self._position, self._cache.revision)
        now = asyncio.get_running_loop().time()
        if not self._bookmarks:
            await self._bucket.changed()
        elif now < self._due:
            await self._bucket.changed(until=self._due)
        else:
            self._due = now + BOOKMARK_SECONDS
            if self._position > self._told:
                return [Change("BOOKMARK", self._position)]
        return ()

    def _selects(self, stored: StoredObject) -> bool:
        return self._matches is None or self._matches(stored)

    def _transition(self, change: CacheChange) -> Change | None:
        """What a watcher with this selection sees of a change: leaving the selection is a deletion."""
        state = change.new or change.gone
        assert state is not None
        if self._namespace and state.namespace != self._namespace:
            return None
        before = change.old is not None and self._selects(change.old)
        if change.new is not None and self._selects(change.new):
            return Change("MODIFIED" if before else "ADDED", change.revision, change.new)
        if before:
            return Change("DELETED", change.revision, change.gone or _last_selected(change))
        return None


def _states(changes: Sequence[CacheChange]) -> list[StoredObject]:
    return [state for change in changes for state in (change.old, change.new, change.gone) if state is not None]


def _last_selected(change: CacheChange) -> StoredObject:
    """The last state that was selected, under the revision of the change that ended it."""
    assert change.old is not None
    record = msgspec.structs.replace(change.old.record, revision=change.revision)
    return change.old.moved(record)
