"""A semaphore with priorities: whoever is nearest to being done goes first."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

PATIENCE = 2.0
"""Seconds after which one inside counts no longer: what takes so long waits for something, and needs no core."""


class Gate:
    """At most `slots` are inside at the same time, and those that stay longer than `patience` seconds."""

    def __init__(self, slots: int, patience: float = PATIENCE) -> None:
        self._free = slots
        self._patience = patience
        self._order = count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def enter(self, priority: int = 0) -> AsyncIterator[None]:
        """The lower, the sooner; equals in the order of their coming."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._turn(priority)
        passed_on = False

        def leave() -> None:
            nonlocal passed_on
            if not passed_on:
                passed_on = True
                self._pass_on()

        overdue = asyncio.get_running_loop().call_later(self._patience, leave)
        try:
            yield
        finally:
            overdue.cancel()
            leave()

    async def _turn(self, priority: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was our turn, but we are not there any more
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
