"""A client that remembers on disk what it has listed and watched, for a start without any server.

Until a server has answered once in this process, lists and gets that cannot reach one are answered from there;
after that its users (informers) have the present in memory and failures are told as they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from minikube.api.meta import Key, Object, T, decode, encode, key_of
from minikube.client.base import ObjectList, WatchEvent
from minikube.client.http import HttpClient
from minikube.errors import ServiceUnavailable
from minikube.kit.files import write_private

log = logging.getLogger(__name__)

WRITE_EVERY = 2.0


class _File(msgspec.Struct):
    """One list at one revision."""

    revision: str
    items: list[msgspec.Raw]


class _Collection:
    """What one list and its watch have told."""

    def __init__(self, kind: type[Object], revision: str, objects: dict[Key, Object]) -> None:
        self.kind, self.revision, self.objects = kind, revision, objects

    def take(self, event: WatchEvent[Any]) -> None:
        self.revision = event.object.metadata.resource_version or self.revision
        if event.type in ("ADDED", "MODIFIED"):
            self.objects[key_of(event.object)] = event.object
        elif event.type == "DELETED":
            self.objects.pop(key_of(event.object), None)

    def data(self) -> bytes:
        items = [msgspec.Raw(encode(obj)) for obj in self.objects.values()]
        return msgspec.json.encode(_File(self.revision, items))


class RememberingClient(HttpClient):
    """`directory` is private (0700): there are Secrets in it. `remember` writes until cancelled."""

    def __init__(self, *arguments: Any, directory: Path, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._directory = directory
        self._known: dict[str, _Collection] = {}
        self._changed: set[str] = set()
        self._written: dict[str, str] = {}
        self._reached = False

    async def list(
        self, kind: type[T], namespace: str = "", *, labels: str = "", fields: str = "", resource_version: str = ""
    ) -> ObjectList[T]:
        try:
            found = await super().list(
                kind, namespace, labels=labels, fields=fields, resource_version=resource_version
            )
        except ServiceUnavailable:
            if self._reached or labels:
                raise
            remembered = await asyncio.to_thread(self._read, kind, _name(kind, namespace, fields))
            if remembered is None:
                raise
            return remembered
        self._reached = True
        if not labels:
            name = _name(kind, namespace, fields)
            objects: dict[Key, Object] = {key_of(obj): obj for obj in found.items}
            self._known[name] = _Collection(kind, found.resource_version, objects)
            self._changed.add(name)
        return found

    @asynccontextmanager
    async def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
    ) -> AsyncIterator[AsyncIterator[WatchEvent[T]]]:
        name = _name(kind, namespace, fields)
        watching = super().watch(kind, namespace, labels=labels, fields=fields, resource_version=resource_version)
        async with watching as events:
            self._reached = True
            yield events if labels else self._noted(name, events)

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        try:
            return await super().get(kind, name, namespace)
        except ServiceUnavailable:
            for each in self._known.values():
                found = each.objects.get(Key(namespace, name)) if each.kind is kind else None
                if isinstance(found, kind) and not self._reached:
                    return found
            raise

    async def remember(self) -> None:
        """Write what has changed, at most every two seconds, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self.write()

    async def write(self) -> None:
        """What has changed since the last time."""
        changed, self._changed = self._changed, set()
        for name in changed:
            data = self._known[name].data()
            digest = hashlib.sha256(data).hexdigest()
            if self._written.get(name) != digest:
                await asyncio.to_thread(write_private, self._directory / name, data)
                self._written[name] = digest

    async def _noted(self, name: str, events: AsyncIterator[WatchEvent[T]]) -> AsyncIterator[WatchEvent[T]]:
        async for event in events:
            collection = self._known.get(name)
            if collection is not None and event.type != "BOOKMARK":
                collection.take(event)
                self._changed.add(name)
            yield event

    def _read(self, kind: type[T], name: str) -> ObjectList[T] | None:
        try:
            file = msgspec.json.decode((self._directory / name).read_bytes(), type=_File)
            items = tuple(decode(kind, bytes(item)) for item in file.items)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, OSError) as error:
            log.warning("what this node last knew of %s cannot be read: %s", kind.resource.plural, error)
            return None
        objects: dict[Key, Object] = {key_of(obj): obj for obj in items}
        self._known[name] = _Collection(kind, file.revision, objects)
        log.warning("no server answers: going on with the %s that this node last knew", kind.resource.plural)
        return ObjectList(items, file.revision)


def _name(kind: type[Object], namespace: str, fields: str) -> str:
    """Of the file."""
    what = f"{kind.resource.plural}.{kind.resource.group or 'core'}"
    where = hashlib.sha256(f"{namespace} {fields}".encode()).hexdigest()[:16]
    return f"{what}.{where}.json"
