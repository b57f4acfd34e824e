"""Exponential delays per key, as client-go's ItemExponentialFailureRateLimiter has them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """base, 2*base, 4*base … up to `limit` seconds for each failure in a row of a key."""

    def __init__(self, *, base: float = 0.005, limit: float = 1000.0) -> None:
        self._base = base
        self._limit = limit
        self._failures: dict[K, int] = {}

    def next(self, key: K) -> float:
        """Count one more failure; the seconds to wait before the next try."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return min(self._limit, self._base * 2.0 ** min(failures, 60))

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        self._failures.pop(key, None)
