"""The history of a store: bounded by bytes as well, but never ahead of those who watch."""

from __future__ import annotations

import asyncio

import pytest

from minikube.store import log as log_module
from minikube.store.base import Event, EventType, Record
from minikube.store.errors import Compacted
from minikube.store.log import Log

BIG = b"x" * (log_module.HEAVY // 4)


def put(log: Log, revision: int, value: bytes = BIG) -> None:
    log.publish([Event(EventType.PUT, Record("/a", value, revision, 2))])


async def test_a_heavy_history_is_forgotten_from_its_old_end() -> None:
    log = Log()
    for revision in range(2, 12):
        put(log, revision)
    assert 2 < log.floor < 11
    with pytest.raises(Compacted):
        async with log.watch("/", after=2):
            pass
    async with log.watch("/", after=log.floor) as events:
        batch = await anext(events)
    assert [event.record.revision for event in batch] == list(range(log.floor + 1, 12))


async def test_a_watcher_is_not_overtaken_because_values_are_big() -> None:
    log = Log()
    async with log.watch("/", after=1) as events:
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        for revision in range(2, 12):
            put(log, revision)
        seen = [event.record.revision for event in await first]
    assert seen == list(range(2, 12))
    put(log, 12)
    assert log.floor > 2


async def test_light_histories_are_kept() -> None:
    log = Log()
    for revision in range(2, 1000):
        put(log, revision, b"small")
    assert log.floor == 1
