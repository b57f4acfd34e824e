"""A process that works on a store until it is killed; what it prints was acknowledged.

`write PATH SEED`: updates a few keys for ever, compacting all the time; prints `key value revision` after each.
`die-in-compaction PATH`, `die-in-migrations DIRECTORY`: killed after a statement, before the commit.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from sqlalchemy import Engine, event

from minikube.store import migrate
from minikube.store.database import Database
from minikube.store.sql import SqlStore


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def write(path: Path, seed: int) -> None:
    store = await SqlStore.open(path, compact_seconds=0.01)
    chance = random.Random(seed)

    async def one(key: str) -> None:
        count = 0
        while True:
            held = await store.get(key)
            value = f"{seed}.{count}".encode()
            if held is None:
                record = await store.create(key, value)
            elif chance.random() < 0.2:
                record = await store.delete(key, expect=held.revision)
                value = b"-"
            else:
                record = await store.update(key, value, expect=held.revision)
            say(f"{key} {value.decode()} {record.revision}")
            count += 1
            if chance.random() < 0.1:
                await store.compact(store.published)

    await asyncio.gather(*(one(f"/k{number}") for number in range(8)))


async def die_in_compaction(path: Path) -> None:
    store = await SqlStore.open(path)
    record = await store.create("/a", b"0")
    for number in range(1, 20):
        record = await store.update("/a", b"%d" % number, expect=record.revision)
    say(f"/a 19 {record.revision}")

    def after(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM log"):
            die()

    event.listen(Engine, "after_cursor_execute", after)
    await store.compact(record.revision)


def die_in_migrations(directory: Path) -> None:
    """`1.db`, `2.db` …: each went through alembic, as one of an earlier version does, up to that statement."""
    import alembic.command  # noqa: F401 - once for all of them

    steps, status = 0, -1
    while status != 0:
        steps += 1
        pid = os.fork()
        if pid == 0:
            _migrate(directory / f"{steps}.db", steps)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
    say(str(steps))


def _migrate(path: Path, steps: int) -> None:
    left = steps

    def after(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            die()

    event.listen(Engine, "after_cursor_execute", after)
    migrate.migrate(Database(f"sqlite:///{path}")._engine)


def main() -> None:
    match sys.argv[1:]:
        case ["write", path, seed]:
            asyncio.run(write(Path(path), int(seed)))
        case ["die-in-compaction", path]:
            asyncio.run(die_in_compaction(Path(path)))
        case ["die-in-migrations", directory]:
            die_in_migrations(Path(directory))


if __name__ == "__main__":
    main()
