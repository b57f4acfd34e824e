"""Knows when our own loop stood still or a clock jumped, so that nobody else is blamed for it."""

from __future__ import annotations

from datetime import datetime

from minikube.kit.clock import Clock

BEAT = 0.25
LATE = 0.25
"""Seconds by which a beat may come late before it counts as a stall."""
JUMP = 1.0


class Mark:
    def __init__(self, monotonic: float, wall: datetime) -> None:
        self.monotonic, self.wall = monotonic, wall


class Stalls:
    """`run` beats while something is to be watched over; `since(mark)` says whether that time is to be trusted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beat: float | None = None
        self._stalled = float("-inf")

    async def run(self) -> None:
        try:
            while True:
                self._beat = self._clock.monotonic()
                await self._clock.sleep(BEAT)
                self._notice()
        finally:
            self._beat = None

    def _notice(self) -> None:
        now = self._clock.monotonic()
        if self._beat is not None and now - self._beat > BEAT + LATE:
            self._stalled = now

    def mark(self) -> Mark:
        return Mark(self._clock.monotonic(), self._clock.now())

    def since(self, mark: Mark) -> bool:
        """Whether the loop stalled or the wall clock jumped after `mark`."""
        self._notice()
        passed = self._clock.monotonic() - mark.monotonic
        jumped = abs((self._clock.now() - mark.wall).total_seconds() - passed) > JUMP
        return jumped or self._stalled >= mark.monotonic
