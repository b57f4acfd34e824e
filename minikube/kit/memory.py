"""Gives memory back that glibc would keep: what the start freed, what big lists and deleted objects leave behind,
arenas of threads. Without effect on other C libraries."""

from __future__ import annotations

import asyncio
import ctypes
from typing import Protocol

M_ARENA_MAX = -8
ARENAS = 2


def few_arenas() -> None:
    """Before threads start."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Return what is free at the moment. Takes some milliseconds."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


PERIOD_SECONDS = 20.0
SLACK = 12 * 1024 * 1024


class _Usage(ctypes.Structure):
    """struct mallinfo2"""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    ]


def unused() -> int:
    """Bytes that have been freed and are still ours (or were given back already, and not needed since)."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return 0
    libc.mallinfo2.restype = _Usage
    usage: _Usage = libc.mallinfo2()
    return int(usage.fordblks)


class Sleeper(Protocol):
    async def sleep(self, seconds: float) -> None: ...


async def give_back(clock: Sleeper) -> None:
    """Until cancelled: whenever much has been freed, it goes back to the system, on a thread: it may take long."""
    given = await asyncio.to_thread(unused)
    while True:
        await clock.sleep(PERIOD_SECONDS)
        now = await asyncio.to_thread(unused)
        if now > given + SLACK:
            await asyncio.to_thread(trim)
            given = now
        else:
            given = min(given, now)
