"""Watches as positions in a kind's history: who wakes, who is overtaken, when they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from minikube.auth.base import User
from minikube.registry.base import Change, DeleteOptions, Request, Selection, WatchOptions
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.settings import Settings
from minikube.store.memory import MemoryStore
from tests.unit.resources.objects import kind_of

REQUEST = Request(user=User("me"), field_manager="test")
CONFIG_MAPS, SECRETS = kind_of("ConfigMap"), kind_of("Secret")


@asynccontextmanager
async def running() -> AsyncIterator[StoreRegistry]:
    registry = StoreRegistry(MemoryStore(), ALL, settings=Settings())
    await registry.start()
    following = asyncio.create_task(registry.run())
    yield registry
    following.cancel()
    await asyncio.wait([following])


def named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "x"}}


def told(changes: Sequence[Change]) -> list[tuple[str, str]]:
    return [(one.type, one.object.name if one.object else one.status["reason"]) for one in changes]


async def test_only_changes_of_its_own_kind_wake_a_watcher() -> None:
    async with running() as registry:
        waiting = asyncio.create_task(registry.cache.bucket(CONFIG_MAPS).changed())
        await registry.create(SECRETS, "x", named("a"), REQUEST)
        await asyncio.sleep(0)
        assert not waiting.done()
        await registry.create(CONFIG_MAPS, "x", named("b"), REQUEST)
        await waiting


async def test_a_watcher_that_was_overtaken_is_told_however_little_is_left() -> None:
    async with running() as registry:
        first = await registry.create(CONFIG_MAPS, "x", named("a"), REQUEST)
        start = str(first.revision)
        async with registry.watch(CONFIG_MAPS, "x", Selection(), WatchOptions(resource_version=start)) as events:
            last = await registry.create(CONFIG_MAPS, "x", named("b"), REQUEST)
            registry.cache.bucket(CONFIG_MAPS).history.forget(last.revision)
            assert told(await anext(events)) == [("ERROR", "Expired")]


async def test_a_watch_ends_with_its_kind_when_it_has_told_everything() -> None:
    async with running() as registry:
        await registry.create(CONFIG_MAPS, "x", named("a"), REQUEST)
        async with registry.watch(CONFIG_MAPS, "x", Selection(), WatchOptions()) as events:
            assert told(await anext(events)) == [("ADDED", "a")]
            await registry.delete(CONFIG_MAPS, "x", "a", DeleteOptions(), REQUEST)
            registry.cache.remove_kind(CONFIG_MAPS)
            assert [told(batch) async for batch in events] == [[("DELETED", "a")]]


async def test_a_watch_from_before_the_history_is_opened_and_told_so() -> None:
    """As upstream: what is wrong after admission is an event, not the answer's code."""
    async with running() as registry:
        first = await registry.create(CONFIG_MAPS, "x", named("a"), REQUEST)
        start = str(first.revision)
        last = await registry.create(CONFIG_MAPS, "x", named("b"), REQUEST)
        registry.cache.bucket(CONFIG_MAPS).history.forget(last.revision)
        async with registry.watch(CONFIG_MAPS, "x", Selection(), WatchOptions(resource_version=start)) as events:
            (error,) = await anext(events)
            assert error.status == {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": f"too old resource version: {start} ({last.revision})",
                "reason": "Expired",
                "code": 410,
            }
            assert [told(batch) async for batch in events] == []
