"""Which namespaces have requests that were charged to a quota and whose objects are not there yet."""

from __future__ import annotations

from collections import Counter


class Reservations:
    """Kept by the admission plugin for the quota controller. That must not count before whatever is reserved has
    become an object, or never will: what it writes takes the reservation away."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def begin(self, namespace: str) -> None:
        self._open[namespace] += 1

    def end(self, namespace: str) -> None:
        self._open[namespace] -= 1
        if not self._open[namespace]:
            del self._open[namespace]

    def under_way(self, namespace: str) -> bool:
        return namespace in self._open
