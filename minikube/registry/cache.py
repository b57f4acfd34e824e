"""The watch cache: every current object in memory, the history of each kind, fed by one watch of the store.

A bucket is one stored kind. Watchers are positions in its history; informers are called in the same step in
which a change becomes visible, so whoever reads a lister after a write has returned sees that write.
"""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence

from minikube.kit.tasks import guard
from minikube.registry.history import Change, History
from minikube.registry.keys import ROOT, bucket_of, split_key
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind
from minikube.store.base import Event, EventType, Store

Listener = Callable[[Change], None]


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Bucket:
    """All objects of one stored kind, by namespace/name ("-" for those without a namespace)."""

    def __init__(self, kind: Kind, revision: int) -> None:
        self.kind = kind
        self.objects: dict[str, StoredObject] = {}
        self.listeners: list[Listener] = []
        self.history = History(revision)
        self.withdrawn = False
        """Nothing will come any more: the kind is not served, or by another bucket."""
        self._sorted: list[str] = []
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def floor(self) -> int:
        return self.history.floor

    def apply(self, change: Change, path: str) -> None:
        if change.new is None:
            self._drop(path)
        else:
            self.put(path, change.new)
        self.history.add(change)
        for listener in tuple(self.listeners):
            listener(change)
        for past in (change.old, change.gone):
            if past is not None:
                past.shed()

    def put(self, path: str, stored: StoredObject) -> None:
        """The present state of namespace/name, without telling anybody."""
        if path not in self.objects:
            insort(self._sorted, path)
        self.objects[path] = stored

    def _drop(self, path: str) -> None:
        if self.objects.pop(path, None) is not None:
            del self._sorted[bisect_left(self._sorted, path)]

    async def changed(self, until: float | None = None) -> None:
        """Returns at the next change of this kind, or at this time of the loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.add(future)
        timer = None if until is None else loop.call_at(until, _settle, future)
        try:
            await future
        finally:
            self._waiting.discard(future)
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """Whoever waits for a change looks again."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            _settle(future)

    def since(self, revision: int, limit: int = 500) -> Sequence[Change]:
        """Changes after a revision, oldest first; the caller has checked the floor."""
        return self.history.since(revision, limit)

    def paths(self, first: str, behind: str, most: int) -> list[str]:
        """In order, from `first` on and (unless that is empty) before `behind`."""
        low = bisect_left(self._sorted, first)
        return self._sorted[low : min(low + most, self._end(behind))]

    def count(self, first: str, behind: str) -> int:
        """How many paths there are from `first` on and before `behind`."""
        return max(0, self._end(behind) - bisect_left(self._sorted, first))

    def select(self, namespace: str) -> list[StoredObject]:
        """In the order of their paths."""
        low, high = bisect_left(self._sorted, f"{namespace}/"), self._end(f"{namespace}0")
        return [self.objects[path] for path in self._sorted[low:high]]

    def _end(self, behind: str) -> int:
        return bisect_left(self._sorted, behind) if behind else len(self._sorted)


class Cache:
    """Use `await start(store)`, then `run()` in a task."""

    def __init__(self) -> None:
        self.revision = 0
        self.compacted = 0
        """Lists of older revisions are refused, however much history is left."""
        self.freed = 0
        """Bytes of objects and history that have been let go."""
        self._kinds: dict[str, Kind] = {}
        self._buckets: dict[str, Bucket] = {}
        self._homeless: dict[str, dict[str, Event]] = {}
        self._after: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self._store: Store | None = None

    def add_kind(self, kind: Kind) -> None:
        """Serve this stored kind; objects that came before it are taken in."""
        prefix = bucket_of(kind.storage)
        known = self._buckets.get(prefix)
        if known is not None:
            known.kind = kind
            return
        bucket = Bucket(kind, self.revision)
        self._buckets[prefix] = bucket
        for path, event in self._homeless.pop(prefix, {}).items():
            bucket.put(path, StoredObject(kind, event.record))

    def remove_kind(self, kind: Kind) -> None:
        bucket = self._buckets.pop(bucket_of(kind.storage), None)
        if bucket is not None:
            bucket.withdrawn = True
            bucket.wake()

    def bucket(self, kind: Kind) -> Bucket:
        return self._buckets[bucket_of(kind.storage)]

    async def start(self, store: Store) -> None:
        """Take in everything that is stored."""
        self._store = store
        page = await store.list(ROOT)
        self.revision = page.revision
        for bucket in self._buckets.values():
            bucket.history.floor = page.revision
        for number, record in enumerate(page.records):
            self._take_in(Event(EventType.PUT, record), first=True)
            if number % 2000 == 1999:
                await asyncio.sleep(0)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        await guard("watch cache", self._follow)

    async def _follow(self) -> None:
        assert self._store is not None
        async with self._store.watch(ROOT, after=self.revision) as batches:
            async for batch in batches:
                touched = {bucket for event in batch if (bucket := self._take_in(event)) is not None}
                self._reach()
                for bucket in touched:
                    bucket.wake()
                heavy = [bucket for bucket in self._buckets.values() if bucket.history.heavy]
                if heavy:
                    await asyncio.sleep(0)
                    self.freed += sum(bucket.history.lighten() for bucket in heavy)

    def compact(self, revision: int) -> None:
        """Lists of older revisions are refused from now on, and what came before is forgotten."""
        self.compacted = revision
        self.freed += sum(bucket.history.forget(revision) for bucket in self._buckets.values())

    async def reached(self, revision: int) -> None:
        """Returns when the cache shows this revision."""
        if self.revision >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._after, (revision, self._count, future))
        await future

    def _take_in(self, event: Event, *, first: bool = False) -> Bucket | None:
        """The bucket that it belongs to; None while nobody serves its kind."""
        record = event.record
        prefix, path = split_key(record.key)
        self.revision = max(self.revision, record.revision)
        bucket = self._buckets.get(prefix)
        if bucket is None:
            if event.type is EventType.DELETE:
                self._homeless.get(prefix, {}).pop(path, None)
            else:
                self._homeless.setdefault(prefix, {})[path] = event
            return None
        old = bucket.objects.get(path)
        stored = StoredObject(bucket.kind, record)
        if first:
            bucket.put(path, stored)
        elif event.type is EventType.DELETE:
            bucket.apply(Change(record.revision, old, None, stored), path)
        else:
            bucket.apply(Change(record.revision, old, stored), path)
        return bucket

    def _reach(self) -> None:
        while self._after and self._after[0][0] <= self.revision:
            _settle(heapq.heappop(self._after)[2])
