"""Names of files that were completed in one directory, from the kernel: nothing is polled."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path

CLOSE_WRITE, MOVED_TO = 0x08, 0x80
_HEADER = struct.Struct("iIII")


async def completed(directory: Path) -> AsyncIterator[str]:
    """Each name that was written and closed, or moved in; "" after an overflow: look at everything. Never ends.

    Raises OSError when the directory cannot be watched.
    """
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0 or library.inotify_add_watch(descriptor, str(directory).encode(), CLOSE_WRITE | MOVED_TO) < 0:
        number = ctypes.get_errno()
        if descriptor >= 0:
            os.close(descriptor)
        raise OSError(number, os.strerror(number), str(directory))
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            with contextlib.suppress(BlockingIOError):
                for name in _names(os.read(descriptor, 1 << 16)):
                    yield name
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _names(events: bytes) -> list[str]:
    names, at = [], 0
    while at < len(events):
        _, _, _, size = _HEADER.unpack_from(events, at)
        at += _HEADER.size
        names.append(os.fsdecode(events[at : at + size].rstrip(b"\0")))
        at += size
    return names
