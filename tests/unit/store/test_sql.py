"""What the SQL store keeps over stops, clean or not, and what it does when the disk refuses."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from minikube.store import migrate
from minikube.store.base import Durability
from minikube.store.database import Database
from minikube.store.errors import Compacted, NewerSchema, StoreError
from minikube.store.sql import SqlStore


async def test_a_clean_stop_keeps_everything_and_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await SqlStore.open(path)
    durable = await store.create("/a", b"1")
    behind = await store.create("/b", b"2", durability=Durability.BEHIND)
    memory = await store.update("/a", b"3", expect=durable.revision, durability=Durability.MEMORY)
    await store.close()
    store = await SqlStore.open(path)
    try:
        assert await store.get("/a") == memory
        assert await store.get("/b") == behind
        assert store.published == memory.revision
        assert (await store.create("/c", b"4")).revision == memory.revision + 1
        async with store.watch("/", after=behind.revision) as changes:
            assert (await anext(changes))[0].record == memory
    finally:
        await store.close()


async def test_a_stop_after_a_flush_of_events_is_clean(tmp_path: Path) -> None:
    store = await SqlStore.open(tmp_path / "state.db")
    event = await store.create("/e", b"1", durability=Durability.BEHIND)
    store._flush_soon()
    await store.close()
    store = await SqlStore.open(tmp_path / "state.db")
    assert await store.get("/e") == event
    await store.close()


async def test_events_that_are_due_and_durable_writes_do_not_get_in_each_others_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await SqlStore.open(tmp_path / "state.db")
    for number in range(50):
        await store.create(f"/e{number}", b"1", durability=Durability.BEHIND)
        durable = asyncio.create_task(store.create(f"/d{number}", b"1"))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        store._flush_soon()
        await durable
    last = store.published
    await store.close()
    assert caplog.records == []
    store = await SqlStore.open(tmp_path / "state.db")
    assert len((await store.list("/")).records) == 100
    assert store.published == last
    await store.close()


async def test_a_second_process_is_told_that_the_database_is_in_use(tmp_path: Path) -> None:
    store = await SqlStore.open(tmp_path / "state.db")
    with pytest.raises(StoreError, match="in use"):
        await SqlStore.open(tmp_path / "state.db")
    await store.close()


async def test_a_database_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await (await SqlStore.open(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerSchema, match="9999"):
        await SqlStore.open(path)


def schema(path: Path) -> set[tuple[str, str]]:
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            (table, str(column[1:]))
            for table in tables
            for column in connection.execute(f"PRAGMA table_info({table})")
        } | {
            (table, str(column[2:4]))
            for table in tables
            for column in connection.execute(f"PRAGMA index_list({table})")
        }


def test_a_new_database_is_what_the_migrations_make(tmp_path: Path) -> None:
    new, migrated = Database(f"sqlite:///{tmp_path / 'new'}"), Database(f"sqlite:///{tmp_path / 'migrated'}")
    new.open()
    migrate.migrate(migrated._engine)
    new.close()
    migrated.close()
    assert schema(tmp_path / "new") == schema(tmp_path / "migrated")


def test_an_interrupted_first_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    monkeypatch.setattr(migrate, "REVISIONS", (None,))  # the last statement of the transaction fails
    with pytest.raises(StoreError):
        Database(f"sqlite:///{path}").open()
    assert schema(path) == set()


def test_the_program_knows_exactly_the_migrations_that_exist() -> None:
    files = sorted(path.name.split("_")[0] for path in (migrate.script_location() / "versions").glob("[0-9]*.py"))
    assert tuple(files) == migrate.REVISIONS


async def test_compaction_leaves_one_row_a_living_key(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await SqlStore.open(path)
    record = await store.create("/a", b"0")
    for n in range(20):
        record = await store.update("/a", b"%d" % n, expect=record.revision)
    gone = await store.create("/b", b"1")
    await store.delete("/b", expect=gone.revision)
    await store.compact(store.published)
    await store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT key FROM log").fetchall() == [("/a",)]
    store = await SqlStore.open(path)
    try:
        assert (await store.get("/a")) == record
        with pytest.raises(Compacted):
            async with store.watch("/", after=gone.revision):
                pass
        await store.create("/b", b"again")
    finally:
        await store.close()


async def test_a_failing_commit_fails_its_callers_and_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqlStore.open(tmp_path / "state.db")
    before = await store.create("/a", b"1")
    page_count = store._database._engine.raw_connection().cursor()
    page_count.execute("PRAGMA page_count")
    limit = page_count.fetchone()[0]
    page_count.execute(f"PRAGMA max_page_count={limit + 2}")
    writes = [store.create(f"/big/{n}", os.urandom(50_000)) for n in range(5)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(answer, StoreError) for answer in answers)
    assert "full" in str(answers[0])
    assert (await store.list("/")).records == (before,)
    page_count.execute("PRAGMA max_page_count=1000000")
    after = await store.create("/b", b"2")
    assert after.revision > before.revision
    await store.close()


WRITER = textwrap.dedent(
    """
    import asyncio, sys, random
    from pathlib import Path
    from minikube.store.base import Durability
    from minikube.store.sql import SqlStore

    async def main(path):
        store = await SqlStore.open(Path(path), compact_seconds=0.2)
        print("start", store.published, flush=True)

        async def one(worker):
            key = f"/w/{worker}"
            found = await store.get(key)
            n = int(found.value) if found else 0
            while True:
                n += 1
                value = b"%d" % n
                if found is None:
                    found = await store.create(key, value)
                else:
                    found = await store.update(key, value, expect=found.revision)
                sys.stdout.write(f"ack {key} {n} {found.revision}\\n")
                if n % 10 == 0:
                    memory = await store.update(key, value, expect=found.revision, durability=Durability.MEMORY)
                    sys.stdout.write(f"seen {memory.revision}\\n")
                    found = memory
                sys.stdout.flush()

        await asyncio.gather(*(one(worker) for worker in range(8)))

    asyncio.run(main(sys.argv[1]))
    """
)


def test_kill_9_loses_no_acknowledged_write_and_repeats_no_revision(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    acknowledged: dict[str, int] = {}
    highest = 0
    for pause in (0.15, 0.4, 0.05, 0.7, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert process.stdout is not None
        started = process.stdout.readline().split()
        assert int(started[1]) >= highest
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        for line in process.stdout.read().splitlines():
            words = line.split()
            if words[:1] == ["ack"] and len(words) == 4:
                acknowledged[words[1]] = int(words[2])
                highest = max(highest, int(words[3]))
            elif words[:1] == ["seen"] and len(words) == 2:
                highest = max(highest, int(words[1]))
        process.wait()
    assert acknowledged

    rows = list(_rows(path))
    chain: dict[str, int] = {}
    for row in rows:
        if row.previous and row.key in chain:
            assert row.previous == chain[row.key]
        chain[row.key] = row.revision
    latest = {row.key: int(row.value) for row in rows}
    for key, n in acknowledged.items():
        assert latest[key] >= n


def _rows(path: Path) -> list:
    database = Database(f"sqlite:///{path}")
    database.open()
    rows = list(database.rows())
    database.close()
    return rows
