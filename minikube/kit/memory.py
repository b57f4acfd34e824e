"""Gives memory back that glibc would keep: what the start freed, and arenas of threads."""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8
ARENAS = 2


def few_arenas() -> None:
    """Before threads start. Without effect on other C libraries."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Return what is free at the moment. Takes some milliseconds."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
