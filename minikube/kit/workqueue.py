"""A queue of keys: each is worked on by one worker at a time, and added again meanwhile means once more.

The rules are those of client-go's util/workqueue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    def __init__(self) -> None:
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._working: set[K] = set()
        self._timers: dict[K, tuple[float, asyncio.Handle]] = {}
        """When each is due, too: what uvloop makes for a very short delay does not know that."""
        self._wakeup = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: K) -> None:
        """Work on `key` soon; a pending delayed add of it is overtaken."""
        if key in self._timers:
            self._timers.pop(key)[1].cancel()
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._ready.append(key)
            self._wakeup.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Work on `key` in `seconds`, or earlier if it is added earlier."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if key in self._timers:
            known, timer = self._timers[key]
            if known <= due:
                return
            timer.cancel()
        self._timers[key] = due, loop.call_at(due, self.add, key)

    async def get(self) -> K:
        """The next key; call `done` when finished with it."""
        while not self._ready:
            self._wakeup.clear()
            await self._wakeup.wait()
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        self._working.discard(key)
        if key in self._dirty:
            self._ready.append(key)
            self._wakeup.set()

    def close(self) -> None:
        """Cancel pending delayed adds."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
