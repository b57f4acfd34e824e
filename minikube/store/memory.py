"""A store without a disk: for tests and for throw-away clusters. Same order, same refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from minikube.store.base import Durability, Event, Page, Record
from minikube.store.log import Log
from minikube.store.plan import Write, answer, plan


class MemoryStore:
    def __init__(self, *, history_limit: int = 10_000) -> None:
        self._log = Log(history_limit=history_limit)

    @property
    def published(self) -> int:
        return self._log.published

    async def current_revision(self) -> int:
        return self._log.published

    async def get(self, key: str) -> Record | None:
        return self._log.current.get(key)

    async def list(self, prefix: str, *, at: int | None = None, start: str = "", limit: int = 0) -> Page:
        return self._log.snapshot(prefix, at=at, start=start, limit=limit)

    async def create(self, key: str, value: bytes, *, durability: Durability = Durability.DURABLE) -> Record:
        return await self._write(key, value, None, durability)

    async def update(
        self, key: str, value: bytes, *, expect: int, durability: Durability = Durability.DURABLE
    ) -> Record:
        return await self._write(key, value, expect, durability)

    async def delete(self, key: str, *, expect: int, durability: Durability = Durability.DURABLE) -> Record:
        return await self._write(key, None, expect, durability)

    def watch(self, prefix: str, *, after: int) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Event]]]:
        return self._log.watch(prefix, after=after)

    async def compact(self, before: int) -> None:
        self._log.forget(before)

    async def scrub(self) -> None:
        """There are no files."""

    async def close(self) -> None:
        return None

    async def _write(self, key: str, value: bytes | None, expect: int | None, durability: Durability) -> Record:
        write = Write(key, value, expect, durability, asyncio.get_running_loop().create_future())
        outcome = plan([write], self._log.current, self._log.published)
        self._log.publish(event for event, _ in outcome.events)
        answer(outcome)
        return await write.done
