"""A process's memory: what the start made is left alone by the collector, and what glibc would keep is given back:
what the start freed, what big lists and deleted objects leave behind, arenas of threads (without effect on other C
libraries)."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from typing import Protocol

M_ARENA_MAX = -8
ARENAS = 2
SETTLED_AFTER = 10.0
"""Seconds from a start until all that belongs to it is over."""
PERIOD_SECONDS = 20.0
SLACK = 12 * 1024 * 1024


class Sleeper(Protocol):
    async def sleep(self, seconds: float) -> None: ...


def few_arenas() -> None:
    """Before threads start."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, ARENAS)


def loaded() -> None:
    """What there is now stays for good; from here on the collector works (`__main__` stops it before)."""
    gc.freeze()
    gc.enable()


def started() -> None:
    """As `loaded`, for what a start left for good; what it only needed for itself is collected."""
    gc.collect()
    gc.freeze()


async def stay_lean(clock: Sleeper) -> None:
    """Until cancelled. When everything has settled, what only the start needed goes back to the system; later, what
    was let go."""
    await clock.sleep(SETTLED_AFTER)
    gc.unfreeze()
    started()
    trim()
    await give_back(clock)


def trim() -> None:
    """Return what is free at the moment. Takes some milliseconds."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


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
