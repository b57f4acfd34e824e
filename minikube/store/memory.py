"""A store without a disk, for tests and benchmarks. Same order, same refusals."""

from __future__ import annotations

import asyncio

from minikube.store.base import Durability, Record
from minikube.store.log import Log
from minikube.store.logged import LoggedStore
from minikube.store.plan import Write, answer, plan


class MemoryStore(LoggedStore):
    def __init__(self, *, history_limit: int = 10_000) -> None:
        super().__init__(Log(history_limit=history_limit))

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
