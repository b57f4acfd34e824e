"""What stores over a Log share: reads come from memory; a write is a key, a value and what is expected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from minikube.store.base import Durability, Event, Page, Record
from minikube.store.log import Log


class LoggedStore(ABC):
    """The Store protocol but for `compact`, `scrub` and `close`; its docstrings hold here."""

    def __init__(self, log: Log) -> None:
        self._log = log

    @abstractmethod
    async def _write(self, key: str, value: bytes | None, expect: int | None, durability: Durability) -> Record:
        """Published when it returns. No `value`: a deletion. No `expect`: a creation. Raises StoreError."""

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
