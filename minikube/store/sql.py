"""The SQL store: group commit on one writer thread, reads from memory, one published order.

All writes of a moment become one transaction. What is acknowledged is durable, with two exceptions that its
callers choose: Durability.BEHIND rows ride along with the next transaction or go after 5 s, MEMORY updates are
only written by a clean stop. Both take revisions of the same order, so a persisted ceiling stays ahead of what
is handed out: after a crash the order goes on above it, and watches from before are told to list again.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import fcntl
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from minikube.store.base import Durability, Event, EventType, Record
from minikube.store.database import Database, Row
from minikube.store.errors import StoreError
from minikube.store.log import Log
from minikube.store.logged import LoggedStore
from minikube.store.plan import Outcome, Write, answer, fail, plan

log = logging.getLogger(__name__)
R = TypeVar("R")

CEILING_STEP = 10_000
BEHIND_SECONDS = 5.0
COMPACT_SECONDS = 300.0
GARBAGE_LIMIT = 20_000
FORGET_AT_ONCE = 500


class SqlStore(LoggedStore):
    """Use `await SqlStore.open(...)`; `close()` writes what is behind and ends a clean run."""

    def __init__(self, database: Database, lock: int | None, *, compact_seconds: float) -> None:
        super().__init__(Log())
        self._database = database
        self._lock = lock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._allocated = 0
        self._ceiling = 0
        self._pending: list[Write] = []
        self._work = asyncio.Event()
        self._behind: list[Row] = []
        self._behind_timer: asyncio.TimerHandle | None = None
        self._flush_due = False
        self._unsaved: set[str] = set()
        self._latest_row: dict[str, int] = {}
        self._garbage: deque[tuple[int, int]] = deque()
        self._garbage_grew = asyncio.Event()
        self._compact_seconds = compact_seconds
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, path: Path, *, compact_seconds: float = COMPACT_SECONDS) -> SqlStore:
        """Raises StoreError (another process has it, not a database, NewerSchema)."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = cls(Database(f"sqlite:///{path}"), _take(path), compact_seconds=compact_seconds)
        try:
            await store._on_thread(store._load)
        except BaseException:
            store._release()
            raise
        os.chmod(path, 0o600)
        store._tasks = [
            asyncio.create_task(store._write_batches(), name="store-writer"),
            asyncio.create_task(store._compact_now_and_then(), name="store-compaction"),
        ]
        return store

    async def compact(self, before: int) -> None:
        before = min(before, self._log.published)
        self._log.forget(before)
        await self._forget_rows(before)

    async def _forget_rows(self, before: int) -> None:
        while self._garbage and self._garbage[0][0] <= before:
            rows: builtins.list[int] = []
            while self._garbage and self._garbage[0][0] <= before and len(rows) < FORGET_AT_ONCE:
                rows.append(self._garbage.popleft()[1])
            await self._on_thread(lambda rows=rows: self._database.forget(rows, before))  # type: ignore[misc]

    async def scrub(self) -> None:
        await self._forget_rows(self._log.published)
        await self._on_thread(self._database.vacuum)

    async def close(self) -> None:
        self._closing = True
        self._work.set()
        writer, compaction = self._tasks
        compaction.cancel()
        await asyncio.gather(writer, compaction, return_exceptions=True)
        if self._behind_timer is not None:
            self._behind_timer.cancel()
        rows = [*self._behind]
        for key in sorted(self._unsaved & self._log.current.keys()):
            rows.append(self._row(Event(EventType.PUT, self._log.current[key])))
        end = {"ceiling": self._log.published, "clean": self._log.published}
        try:
            if rows or self._ceiling != self._log.published:
                rows.sort(key=lambda row: row.revision)
                await self._on_thread(lambda: self._database.append(rows, end))
        finally:
            self._release()

    # ---- writing -------------------------------------------------------------------------------------

    async def _write(self, key: str, value: bytes | None, expect: int | None, durability: Durability) -> Record:
        if self._closing:
            raise StoreError("the store is closed")
        write = Write(key, value, expect, durability, asyncio.get_running_loop().create_future())
        self._pending.append(write)
        self._work.set()
        try:
            return await asyncio.shield(write.done)
        except asyncio.CancelledError:
            await self._called_off(write)
            raise

    async def _called_off(self, write: Write) -> None:
        """What nobody has begun to write is not written; otherwise the caller goes on when it is known what came of
        it: whoever looks after him sees it."""
        if write in self._pending:
            self._pending.remove(write)
            write.done.cancel()
        while not write.done.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({write.done})
        if not write.done.cancelled():
            write.done.exception()

    async def _write_batches(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._pending:
                batch, self._pending = self._pending, []
                try:
                    await self._commit(batch)
                except StoreError as error:
                    log.error("a write of %d changes failed: %s", len(batch), error)
                    await self._salvage(batch, error)
            if self._flush_due and not self._closing:
                await self._flush()
            if self._closing:
                return

    async def _commit(self, batch: Sequence[Write]) -> None:
        outcome = plan(batch, self._log.current, self._allocated)
        self._allocated = outcome.last
        rows = self._rows_of(outcome)
        ceiling = self._ceiling
        if outcome.last > ceiling:
            ceiling = outcome.last + CEILING_STEP
        durable = any(write.durability is Durability.DURABLE for _, write in outcome.events)
        if durable or ceiling != self._ceiling:
            behind = len(self._behind)
            todo = self._behind + rows
            state = {"ceiling": ceiling} if ceiling != self._ceiling else {}
            await self._on_thread(lambda: self._database.append(todo, state))
            self._ceiling = ceiling
            del self._behind[:behind]
        elif rows:
            self._behind += rows
            if self._behind_timer is None:
                loop = asyncio.get_running_loop()
                self._behind_timer = loop.call_later(BEHIND_SECONDS, self._flush_soon)
        self._note_rows(rows)
        self._log.publish(event for event, _ in outcome.events)
        answer(outcome)

    async def _salvage(self, batch: Sequence[Write], error: StoreError) -> None:
        """The transaction failed: durable writes fail, the others did not need the disk."""
        fail([write for write in batch if write.durability is Durability.DURABLE], error)
        others = [write for write in batch if write.durability is not Durability.DURABLE]
        if others and self._allocated + len(others) <= self._ceiling:
            await self._commit(others)
        else:
            fail(others, error)

    def _rows_of(self, outcome: Outcome) -> builtins.list[Row]:
        """What of a batch goes to the log; a key's rows chain to each other within the batch too."""
        rows = []
        latest: dict[str, int] = {}
        for event, write in outcome.events:
            key = write.key
            if write.durability is Durability.MEMORY and event.type is EventType.PUT:
                self._unsaved.add(key)
                continue
            row = self._row(event, latest.get(key))
            latest[key] = row.revision
            rows.append(row)
        return rows

    def _row(self, event: Event, previous: int | None = None) -> Row:
        record = event.record
        deleted = event.type is EventType.DELETE
        before = previous if previous is not None else self._latest_row.get(record.key, 0)
        return Row(record.revision, record.key, before, record.created, deleted, b"" if deleted else record.value)

    def _note_rows(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._unsaved.discard(row.key)
            if row.previous:
                self._garbage.append((row.revision, row.previous))
            self._latest_row[row.key] = row.revision
            if row.deleted:
                self._garbage.append((row.revision, row.revision))
        if self._garbage:
            self._garbage_grew.set()

    def _flush_soon(self) -> None:
        """It is the writer that flushes: two writers of one list would each write the same row."""
        self._behind_timer = None
        self._flush_due = True
        self._work.set()

    async def _flush(self) -> None:
        self._flush_due = False
        rows = list(self._behind)
        if not rows:
            return
        try:
            await self._on_thread(lambda: self._database.append(rows, {}))
        except StoreError as error:
            log.error("%d changes stay in memory only: %s", len(rows), error)
            self._behind_timer = asyncio.get_running_loop().call_later(BEHIND_SECONDS, self._flush_soon)
            return
        del self._behind[: len(rows)]

    # ---- compaction ----------------------------------------------------------------------------------

    async def _compact_now_and_then(self) -> None:
        """Keep at least `compact_seconds` of history; asleep while there is nothing to forget."""
        while True:
            self._garbage_grew.clear()
            if not self._garbage:
                await self._garbage_grew.wait()
            mark = self._log.published
            for _ in range(10):
                await asyncio.sleep(self._compact_seconds / 10)
                if len(self._garbage) > GARBAGE_LIMIT:
                    mark = max(mark, self._garbage[len(self._garbage) // 2][0])
                    break
            try:
                await self.compact(mark)
            except StoreError as error:
                log.error("compaction failed, again later: %s", error)

    # ---- starting and stopping -----------------------------------------------------------------------

    def _load(self) -> None:
        state = self._database.open()
        self._ceiling = state.get("ceiling", 1)
        clean = state.get("clean", 1) == self._ceiling
        current: dict[str, Record] = {}
        events: list[Event] = []
        compacted = max(state.get("compacted", 0), 1)
        rows: list[Row] = []
        for row in self._database.rows():
            before = current.get(row.key)
            if row.deleted:
                current.pop(row.key, None)
                record = Record(row.key, before.value if before else b"", row.revision, row.created)
                found = Event(EventType.DELETE, record, before)
            else:
                record = Record(row.key, row.value, row.revision, row.created)
                current[row.key] = record
                found = Event(EventType.PUT, record, before)
            if clean and row.revision > compacted:
                events.append(found)
            rows.append(Row(row.revision, row.key, row.previous, 0, row.deleted, b""))
        self._log = Log(published=self._ceiling, floor=compacted if clean else self._ceiling)
        self._log.restore(current, events)
        self._note_rows(rows)
        self._allocated = self._ceiling

    async def _on_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _release(self) -> None:
        self._thread.submit(self._database.close).result()
        self._thread.shutdown()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _take(path: Path) -> int:
    """A lock that goes with the process, so that two of them never share a SQLite file, which is there from now on:
    the files that SQLite puts beside it become as private."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreError(f"{path} is in use by another minikube server") from error
    path.touch(mode=0o600)
    return lock
