"""Long work on the loop in short turns, so that nobody else waits for it."""

from __future__ import annotations

import asyncio
import time

TURN_SECONDS = 0.002


class Turns:
    """Ask after each small step whether the turn is `over`; then `await pass_on()` lets the others have theirs."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + TURN_SECONDS

    @property
    def over(self) -> bool:
        return time.perf_counter() > self._until

    async def pass_on(self) -> None:
        await asyncio.sleep(0)
        self._until = time.perf_counter() + TURN_SECONDS
