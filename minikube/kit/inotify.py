"""Word from the kernel of what happens to the files of one directory: nothing is polled."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import TracebackType

MODIFY, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x02, 0x08, 0x40, 0x80, 0x100, 0x200
ONESHOT = 0x80000000
_HEADER = struct.Struct("iIII")


async def completed(directory: Path) -> AsyncIterator[str]:
    """Each name that was written and closed, or moved in; "" after an overflow: look at everything. Never ends.

    Raises OSError when the directory cannot be watched.
    """
    readable = asyncio.Event()
    with _watched(directory, CLOSE_WRITE | MOVED_TO, readable.set) as descriptor:
        while True:
            await readable.wait()
            readable.clear()
            for _, name in _read(descriptor):
                yield name


@contextlib.contextmanager
def stirring(directory: Path, changed: asyncio.Event, *, only: str = "") -> Iterator[None]:
    """Meanwhile the event is set whenever a file there (`only`: the one of that name) was written, came, or went.

    Raises OSError when the directory cannot be watched.
    """

    def happened() -> None:
        if any(not only or name in (only, "") for _, name in _read(descriptor)):
            changed.set()

    with _watched(directory, CLOSE_WRITE | MOVED_FROM | MOVED_TO | DELETE, happened) as descriptor:
        yield


class NextChange:
    """The next change of any of many directories, for any number of waiters, over one descriptor of the kernel's:
    it allows a user 128. Open while a `with` of it lasts.

    Each word is asked for anew, so that a file which is written all the time costs nothing between two questions.
    """

    def __init__(self) -> None:
        self._users = 0
        self._descriptor = -1
        self._asked: dict[int, asyncio.Future[None]] = {}

    def __enter__(self) -> NextChange:
        self._users += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        if not self._users and self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            self._asked.clear()

    def of(self, directory: Path) -> asyncio.Future[None]:
        """Done when a file there is written, comes or goes from now on. It is shared: never cancel it.
        Raises OSError."""
        if self._descriptor < 0:
            self._descriptor = _opened()
            asyncio.get_running_loop().add_reader(self._descriptor, self._happened)
        watch = _add(self._descriptor, directory, MODIFY | CREATE | MOVED_FROM | MOVED_TO | DELETE | ONESHOT)
        found = self._asked.get(watch)
        if found is None:
            found = self._asked[watch] = asyncio.get_running_loop().create_future()
        return found

    def _happened(self) -> None:
        for watch, _ in _read(self._descriptor):
            for each in [watch] if watch >= 0 else list(self._asked):
                if (found := self._asked.pop(each, None)) is not None and not found.done():
                    found.set_result(None)


@contextlib.contextmanager
def _watched(directory: Path, happenings: int, readable: Callable[[], None]) -> Iterator[int]:
    """A descriptor to read from whenever `readable` is called."""
    descriptor = _opened()
    try:
        _add(descriptor, directory, happenings)
    except OSError:
        os.close(descriptor)
        raise
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, readable)
    try:
        yield descriptor
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _opened() -> int:
    """Raises OSError."""
    descriptor: int = _library().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise _failed("inotify")
    return descriptor


def _add(descriptor: int, directory: Path, happenings: int) -> int:
    """The number of the watch. Raises OSError."""
    number: int = _library().inotify_add_watch(descriptor, os.fsencode(directory), ctypes.c_uint32(happenings))
    if number < 0:
        raise _failed(str(directory))
    return number


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _failed(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)


def _read(descriptor: int) -> list[tuple[int, str]]:
    """(number of the watch, name of the file); -1 after an overflow."""
    try:
        events = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return []
    found, at = [], 0
    while at < len(events):
        watch, _, _, size = _HEADER.unpack_from(events, at)
        at += _HEADER.size
        found.append((watch, os.fsdecode(events[at : at + size].rstrip(b"\0"))))
        at += size
    return found
