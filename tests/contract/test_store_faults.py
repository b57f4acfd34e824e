"""What the SQL store keeps of its promises when its process is killed or its disk is full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minikube.store.base import Event, Record
from minikube.store.errors import StoreError
from minikube.store.sql import SqlStore

ROUNDS = 4
CHECKOUT = Path(__file__).parents[2]


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contract.store_process", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)


def killed_while_writing(path: Path, seed: int, seconds: float) -> list[tuple[str, str, int]]:
    """What a process had acknowledged when it was killed that long after its first write."""
    process = start("write", path, seed)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.kill()
    lines = [first, *process.stdout.read().splitlines()]
    process.wait()
    process.stdout.close()
    return [(key, value, int(revision)) for key, value, revision in (line.split() for line in lines)]


async def contents(path: Path) -> tuple[dict[str, str], int]:
    store = await SqlStore.open(path)
    try:
        records = (await store.list("/")).records
        return {each.key: each.value.decode() for each in records}, store.published
    finally:
        await store.close()


async def test_killed_at_any_moment_no_acknowledged_write_is_lost_and_no_revision_comes_twice(
    tmp_path: Path,
) -> None:
    path, chance = tmp_path / "state.db", random.Random(7)
    highest = 0
    for turn in range(ROUNDS):
        history = await asyncio.to_thread(killed_while_writing, path, turn, chance.uniform(0.05, 0.5))
        revisions = [revision for _, _, revision in history]
        assert len(set(revisions)) == len(revisions)
        assert min(revisions) > highest
        present, published = await contents(path)
        assert published >= max(revisions)
        for key in {key for key, _, _ in history}:
            acknowledged = [value for name, value, _ in history if name == key]
            assert present.get(key, "-") in (acknowledged[-1], *_next(acknowledged[-1], turn, len(acknowledged)))
        highest = published


def _next(last: str, turn: int, count: int) -> tuple[str, ...]:
    """The one write of a key that may have been under way, unacknowledged, when the process died."""
    return ("-", f"{turn}.{count}")


async def test_killed_inside_compaction_the_record_and_its_revision_stay(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    process = start("die-in-compaction", path)
    output, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == -9
    _, value, revision = output.split()
    store = await SqlStore.open(path)
    try:
        record = await store.get("/a")
        assert record is not None
        assert (record.value.decode(), record.revision) == (value, int(revision))
        await store.compact(record.revision)
        assert await store.get("/a") == record
    finally:
        await store.close()


async def test_killed_after_any_statement_of_a_migration_the_next_start_completes_it(tmp_path: Path) -> None:
    process = start("die-in-migrations", tmp_path)
    output, _ = await asyncio.to_thread(process.communicate)
    assert int(output) > 3
    for steps in range(1, int(output) + 1):
        path = tmp_path / f"{steps}.db"
        store = await SqlStore.open(path)
        record = await store.create("/a", b"1")
        await store.close()
        assert await contents(path) == ({"/a": "1"}, record.revision)


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
async def test_a_full_disk_fails_the_writers_and_publishes_nothing_of_theirs(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1 << 20))
        store = await SqlStore.open(disk / "state.db")
        seen: list[Event] = []

        all_seen = asyncio.Event()

        async def follow(after: int) -> None:
            async with store.watch("/", after=after) as batches:
                async for events in batches:
                    seen.extend(events)
                    if events[-1].record.key == "/after":
                        all_seen.set()

        following = asyncio.create_task(follow(store.published))
        writes = [store.create(f"/{number:03}", os.urandom(10_000).hex().encode()) for number in range(200)]
        answers = [answer for write in writes for answer in await asyncio.gather(write, return_exceptions=True)]
        failures = [answer for answer in answers if isinstance(answer, StoreError)]
        acknowledged = [answer for answer in answers if isinstance(answer, Record)]
        assert failures
        assert all("full" in str(failure) for failure in failures)
        assert acknowledged
        ballast.unlink()
        acknowledged.append(await store.create("/after", b"1"))
        expected = sorted(each.revision for each in acknowledged)
        async with asyncio.timeout(5):
            await all_seen.wait()
        following.cancel()
        assert [event.record.revision for event in seen] == expected
        assert {each.key for each in (await store.list("/")).records} == {each.key for each in acknowledged}
        await store.close()
        present, published = await contents(disk / "state.db")
        assert present.keys() == {each.key for each in acknowledged}
        assert published >= expected[-1]
