"""The ConfigMaps or Secrets that pods of this node name, each followed by a watch of its own while one needs it.

A node sees no others (the node authorizer lets it no further); rules of the kubelet's WatchBasedManager.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic

from minikube.api.meta import Key, T
from minikube.client.base import Client
from minikube.client.informer import WatchInformer

SYNC_SECONDS = 10.0


class NotSynced(Exception):
    """The API has not told in time what the object is."""


class _Followed(Generic[T]):
    def __init__(self, informer: WatchInformer[T]) -> None:
        self.informer = informer
        self.holders: set[str] = set()
        self.task: asyncio.Task[None] | None = None


class References(Generic[T]):
    """`changed(holder)` is called for every holder of an object that changes; `run` until cancelled."""

    def __init__(self, client: Client, kind: type[T], changed: Callable[[str], None]) -> None:
        self._client, self._kind, self._changed = client, kind, changed
        self._followed: dict[Key, _Followed[T]] = {}
        self._held: dict[str, frozenset[Key]] = {}
        self._new: asyncio.Queue[Key] = asyncio.Queue()

    async def run(self) -> None:
        for key in self._followed:
            self._new.put_nowait(key)
        async with asyncio.TaskGroup() as tasks:
            while True:
                key = await self._new.get()
                followed = self._followed.get(key)
                if followed is not None and (followed.task is None or followed.task.done()):
                    name = f"{self._kind.__name__} {key}"
                    followed.task = tasks.create_task(followed.informer.run(), name=name)

    def hold(self, holder: str, keys: frozenset[Key]) -> None:
        """These, and no others any more, for this holder."""
        before = self._held.get(holder, frozenset())
        for key in keys - before:
            self._follow(key).holders.add(holder)
        for key in before - keys:
            self._drop(key, holder)
        if keys:
            self._held[holder] = keys
        else:
            self._held.pop(holder, None)

    async def get(self, key: Key) -> T | None:
        """The object as last seen; None if there is none. It has to be held. Raises NotSynced."""
        informer = self._followed[key].informer
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                await informer.wait_synced()
        except TimeoutError as error:
            what = self._kind.__name__.lower()
            raise NotSynced(f"failed to sync {what} cache: timed out waiting for the condition") from error
        return informer.lister.get(key.name, key.namespace)

    def _follow(self, key: Key) -> _Followed[T]:
        followed = self._followed.get(key)
        if followed is None:
            informer = WatchInformer(
                self._client, self._kind, namespace=key.namespace, fields=f"metadata.name={key.name}"
            )
            followed = self._followed[key] = _Followed(informer)
            informer.add_handler(lambda old, new: self._tell(key))
            self._new.put_nowait(key)
        return followed

    def _drop(self, key: Key, holder: str) -> None:
        followed = self._followed[key]
        followed.holders.discard(holder)
        if not followed.holders:
            del self._followed[key]
            if followed.task is not None:
                followed.task.cancel()

    def _tell(self, key: Key) -> None:
        followed = self._followed.get(key)
        for holder in tuple(followed.holders) if followed is not None else ():
            self._changed(holder)
