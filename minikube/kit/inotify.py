"""Word from the kernel of what happens to the files of one directory: nothing is polled."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

CLOSE_WRITE, MOVED_FROM, MOVED_TO, DELETE = 0x08, 0x40, 0x80, 0x200
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
            for name in _read(descriptor):
                yield name


@contextlib.contextmanager
def stirring(directory: Path, changed: asyncio.Event, *, only: str = "") -> Iterator[None]:
    """Meanwhile the event is set whenever a file there (`only`: the one of that name) was written, came, or went.

    Raises OSError when the directory cannot be watched.
    """

    def happened() -> None:
        if any(not only or name in (only, "") for name in _read(descriptor)):
            changed.set()

    with _watched(directory, CLOSE_WRITE | MOVED_FROM | MOVED_TO | DELETE, happened) as descriptor:
        yield


@contextlib.contextmanager
def _watched(directory: Path, happenings: int, readable: Callable[[], None]) -> Iterator[int]:
    """A descriptor to read from whenever `readable` is called."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0 or library.inotify_add_watch(descriptor, str(directory).encode(), happenings) < 0:
        number = ctypes.get_errno()
        if descriptor >= 0:
            os.close(descriptor)
        raise OSError(number, os.strerror(number), str(directory))
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, readable)
    try:
        yield descriptor
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _read(descriptor: int) -> list[str]:
    try:
        return _names(os.read(descriptor, 1 << 16))
    except BlockingIOError:
        return []


def _names(events: bytes) -> list[str]:
    names, at = [], 0
    while at < len(events):
        _, _, _, size = _HEADER.unpack_from(events, at)
        at += _HEADER.size
        names.append(os.fsdecode(events[at : at + size].rstrip(b"\0")))
        at += size
    return names
