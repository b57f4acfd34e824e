"""A store whose values under some prefixes are encrypted in the store beneath, and only there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from minikube.store.base import Durability, Event, Page, Record, Store
from minikube.store.envelope import Envelopes
from minikube.store.errors import KeyExists, RevisionMismatch


class EncryptedStore:
    """`envelopes` may be exchanged at any time; what is stored stays as it is until it is written again."""

    def __init__(self, inner: Store, envelopes: Envelopes, prefixes: Sequence[str]) -> None:
        self.inner = inner
        self.envelopes = envelopes
        self.prefixes = tuple(prefixes)

    @property
    def published(self) -> int:
        return self.inner.published

    async def current_revision(self) -> int:
        return await self.inner.current_revision()

    async def get(self, key: str) -> Record | None:
        found = await self.inner.get(key)
        return self._opened(found) if found is not None else None

    async def list(self, prefix: str, *, at: int | None = None, start: str = "", limit: int = 0) -> Page:
        page = await self.inner.list(prefix, at=at, start=start, limit=limit)
        return msgspec.structs.replace(page, records=tuple(self._opened(record) for record in page.records))

    async def create(self, key: str, value: bytes, *, durability: Durability = Durability.DURABLE) -> Record:
        try:
            return self._opened(await self.inner.create(key, self._sealed(key, value), durability=durability))
        except KeyExists as error:
            raise KeyExists(self._opened(error.current)) from error

    async def update(
        self, key: str, value: bytes, *, expect: int, durability: Durability = Durability.DURABLE
    ) -> Record:
        sealed = self._sealed(key, value)
        try:
            return self._opened(await self.inner.update(key, sealed, expect=expect, durability=durability))
        except RevisionMismatch as error:
            raise self._mismatch(key, error) from error

    async def delete(self, key: str, *, expect: int, durability: Durability = Durability.DURABLE) -> Record:
        try:
            return self._opened(await self.inner.delete(key, expect=expect, durability=durability))
        except RevisionMismatch as error:
            raise self._mismatch(key, error) from error

    @asynccontextmanager
    async def _watch(self, prefix: str, after: int) -> AsyncIterator[AsyncIterator[Sequence[Event]]]:
        async def opened(batches: AsyncIterator[Sequence[Event]]) -> AsyncIterator[Sequence[Event]]:
            async for batch in batches:
                yield [self._event(event) for event in batch]

        async with self.inner.watch(prefix, after=after) as batches:
            yield opened(batches)

    def watch(self, prefix: str, *, after: int) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Event]]]:
        return self._watch(prefix, after)

    async def compact(self, before: int) -> None:
        await self.inner.compact(before)

    async def scrub(self) -> None:
        await self.inner.scrub()

    async def close(self) -> None:
        await self.inner.close()

    def _sealed(self, key: str, value: bytes) -> bytes:
        return self.envelopes.seal(key, value) if key.startswith(self.prefixes) else value

    def _opened(self, record: Record) -> Record:
        """The very record where nothing is encrypted. Raises SealedValue."""
        if not record.key.startswith(self.prefixes):
            return record
        value = self.envelopes.open(record.key, record.value)
        return record if value is record.value else msgspec.structs.replace(record, value=value)

    def _event(self, event: Event) -> Event:
        if not event.record.key.startswith(self.prefixes):
            return event
        previous = self._opened(event.previous) if event.previous is not None else None
        return Event(event.type, self._opened(event.record), previous)

    def _mismatch(self, key: str, error: RevisionMismatch) -> RevisionMismatch:
        return RevisionMismatch(key, self._opened(error.current) if error.current is not None else None)
