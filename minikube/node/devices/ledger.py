"""Who holds which devices, on disk before anybody gets them: so a restarted agent hands none out a second time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from minikube.kit.files import write_private
from minikube.node.devices.base import Held

log = logging.getLogger(__name__)


class Page(msgspec.Struct, frozen=True):
    """The file."""

    held: tuple[Held, ...] = ()
    resources: tuple[str, ...] = ()
    """That plugins have registered."""


class Ledger:
    """Changes are on disk when the calls return. Raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._page = _read(path)
        self._lock = asyncio.Lock()

    @property
    def held(self) -> tuple[Held, ...]:
        return self._page.held

    @property
    def resources(self) -> tuple[str, ...]:
        return self._page.resources

    def of(self, pod: str, container: str = "") -> Sequence[Held]:
        """By the pod's uid; of all its containers, unless one is named."""
        return [each for each in self.held if each.pod == pod and container in ("", each.container)]

    def in_use(self, resource: str) -> Iterable[str]:
        return (id for each in self.held if each.resource == resource for id in each.ids)

    async def add(self, held: Held) -> None:
        await self._write(Page((*self.held, held), self.resources))

    async def drop(self, over: Callable[[str], bool]) -> bool:
        """What pods hold, by their uids, that are over; whether that was anything."""
        left = tuple(each for each in self.held if not over(each.pod))
        if len(left) == len(self.held):
            return False
        await self._write(Page(left, self.resources))
        return True

    async def register(self, resource: str) -> None:
        if resource not in self.resources:
            await self._write(Page(self.held, (*self.resources, resource)))

    async def _write(self, page: Page) -> None:
        self._page = page
        async with self._lock:
            await asyncio.to_thread(write_private, self._path, msgspec.json.encode(self._page))


def _read(path: Path) -> Page:
    with contextlib.suppress(FileNotFoundError):
        try:
            return msgspec.json.decode(path.read_bytes(), type=Page)
        except msgspec.DecodeError as error:
            log.warning("%s cannot be read, so nobody holds devices: %s", path, error)
    return Page()
