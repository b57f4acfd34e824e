"""How the tries of one probe came out, and how long those took that were no failures, for /metrics/probes."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; the buckets that Prometheus' clients have by default."""


class Counts:
    def __init__(self) -> None:
        self.successful = self.failed = self.unknown = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)

    def add(self, outcome: bool | None, seconds: float) -> None:
        """`outcome` None: nothing could be concluded."""
        if outcome is False:
            self.failed += 1
            return
        if outcome:
            self.successful += 1
        else:
            self.unknown += 1
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
