"""Informers over any client: list, then watch; list again when the history is gone; back off when it fails."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Any, Generic

from minikube.api.meta import Key, T, key_of
from minikube.client.base import Client, Handler, IndexFunction, Informer
from minikube.errors import ApiError, Expired, Gone
from minikube.kit.clock import SYSTEM, Clock

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.8, 30.0
"""Rules of client-go's Reflector."""


class WatchLister(Generic[T]):
    def __init__(self) -> None:
        self.objects: dict[Key, T] = {}
        self.functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, dict[Key, T]]] = {}

    def get(self, name: str, namespace: str = "") -> T | None:
        return self.objects.get(Key(namespace, name))

    def list(self, namespace: str = "") -> Sequence[T]:
        if not namespace:
            return list(self.objects.values())
        return [obj for key, obj in self.objects.items() if key.namespace == namespace]

    def by_index(self, index: str, value: str) -> Sequence[T]:
        return list(self._indexes[index].get(value, {}).values())

    def add_index(self, name: str, function: IndexFunction) -> None:
        if name in self.functions:
            return
        self.functions[name] = function
        self._indexes[name] = {}
        for key, obj in self.objects.items():
            self._enter(name, key, obj)

    def put(self, key: Key, obj: T | None) -> T | None:
        """Set or (None) remove; the old object."""
        old = self.objects.get(key)
        for name in self.functions:
            if old is not None:
                self._leave(name, key, old)
            if obj is not None:
                self._enter(name, key, obj)
        if obj is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj
        return old

    def _enter(self, name: str, key: Key, obj: T) -> None:
        for value in self.functions[name](obj):
            self._indexes[name].setdefault(value, {})[key] = obj

    def _leave(self, name: str, key: Key, obj: T) -> None:
        for value in self.functions[name](obj):
            found = self._indexes[name].get(value)
            if found is not None:
                found.pop(key, None)
                if not found:
                    del self._indexes[name][value]


class WatchInformer(Generic[T]):
    """`run()` keeps it current until cancelled."""

    def __init__(
        self, client: Client, kind: type[T], *, namespace: str = "", fields: str = "", clock: Clock = SYSTEM
    ) -> None:
        self._client = client
        self._kind = kind
        self._namespace = namespace
        self._fields = fields
        self._clock = clock
        self._handlers: list[Handler[T]] = []
        self._synced = asyncio.Event()
        self._revision = ""
        self.lister: WatchLister[T] = WatchLister()
        self.lister.add_index("owner", _owners)

    async def wait_synced(self) -> None:
        await self._synced.wait()

    def add_handler(self, handler: Handler[T]) -> None:
        self._handlers.append(handler)
        for obj in self.lister.list():
            handler(None, obj)

    def add_index(self, name: str, function: IndexFunction) -> None:
        self.lister.add_index(name, function)

    async def run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                if not self._revision:
                    await self._relist()
                await self._follow()
                pause = FIRST_PAUSE
                continue
            except (Gone, Expired):
                self._revision = ""
                continue
            except ApiError as error:
                log.warning("watching %s: %s", self._kind.resource.plural, error.message)
            await self._clock.sleep(pause * (1 + random.random()))
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _relist(self) -> None:
        found = await self._client.list(self._kind, self._namespace, fields=self._fields)
        present = {key_of(obj): obj for obj in found.items}
        for key in [key for key in self.lister.objects if key not in present]:
            self._set(key, None)
        for key, obj in present.items():
            known = self.lister.objects.get(key)
            if known is None or known.metadata.resource_version != obj.metadata.resource_version:
                self._set(key, obj)
        self._revision = found.resource_version
        self._synced.set()

    async def _follow(self) -> None:
        """Until the server ends the watch."""
        watching = self._client.watch(
            self._kind, self._namespace, fields=self._fields, resource_version=self._revision
        )
        async with watching as events:
            async for event in events:
                obj = event.object
                if event.type in ("ADDED", "MODIFIED"):
                    self._set(key_of(obj), obj)
                elif event.type == "DELETED":
                    self._set(key_of(obj), None)
                self._revision = obj.metadata.resource_version or self._revision

    def _set(self, key: Key, obj: T | None) -> None:
        old = self.lister.put(key, obj)
        if old is None and obj is None:
            return
        for handler in self._handlers:
            handler(old, obj)


class WatchInformers:
    """The shared informers of a process that talks to a server over the network."""

    def __init__(self, client: Client, clock: Clock = SYSTEM) -> None:
        self._client = client
        self._clock = clock
        self._informers: dict[tuple[type, str, str], Any] = {}
        self._new: asyncio.Queue[Any] = asyncio.Queue()

    def of(self, kind: type[T], *, namespace: str = "", fields: str = "") -> Informer[T]:
        key = (kind, namespace, fields)
        if key not in self._informers:
            made = WatchInformer(self._client, kind, namespace=namespace, fields=fields, clock=self._clock)
            self._informers[key] = made
            self._new.put_nowait(made)
        informer: Informer[T] = self._informers[key]
        return informer

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                informer = await self._new.get()
                tasks.create_task(informer.run())


def _owners(obj: Any) -> Sequence[str]:
    return [owner.uid for owner in obj.metadata.owner_references]
