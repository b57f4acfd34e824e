"""Which events are one: what floods is held back, what is alike is combined, what happens again is counted.

Rules: client-go tools/record EventCorrelator.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

import msgspec

from minikube.api.meta import Object
from minikube.kit.clock import Clock

K = TypeVar("K")
V = TypeVar("V")

REMEMBERED = 4096
BURST, REFILL_SECONDS = 25, 300.0
"""Of EventSourceObjectSpamFilter: so many at once about one object, then one in this time."""
SIMILAR, SIMILAR_SECONDS = 10, 600.0
"""Of EventAggregator: so many messages for one reason within this time, and they are combined."""


class Happening(msgspec.Struct, frozen=True):
    """What is to be told: `type` is Normal or Warning, `field` the part of the object that it is about."""

    type: str
    about: Object
    reason: str
    message: str
    field: str


class Same(msgspec.Struct, frozen=True):
    """What is the same for all happenings that one Event counts; no message, if they are combined."""

    type: str
    about: str
    reason: str
    message: str


class Written(msgspec.Struct, frozen=True):
    """An Event that is there, and what it counts by now."""

    name: str
    count: int


class _Lately(Generic[K, V]):
    """Of everything that was put in, what was put last."""

    def __init__(self) -> None:
        self._known: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._known.get(key)

    def put(self, key: K, value: V) -> None:
        self._known[key] = value
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def drop(self, key: K) -> None:
        self._known.pop(key, None)


class Correlator:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.written: _Lately[Same, Written] = _Lately()
        self._messages: _Lately[Same, tuple[set[str], float]] = _Lately()
        self._tokens: _Lately[str, tuple[float, float]] = _Lately()

    def judge(self, what: Happening) -> tuple[Same, str] | None:
        """By what it is counted, and the message to tell; None: nothing is told of it."""
        meta = what.about.metadata
        if not self._allowed(meta.uid):
            return None
        alike = Same(what.type, f"{meta.uid}/{meta.name}", what.reason, "")
        if self._repetitive(alike, what.message):
            return alike, f"(combined from similar events): {what.message}"
        return Same(what.type, f"{meta.uid}{what.field}/{meta.name}", what.reason, what.message), what.message

    def _allowed(self, uid: str) -> bool:
        """A token bucket for each object."""
        now = self._clock.monotonic()
        tokens, at = self._tokens.get(uid) or (float(BURST), now)
        tokens = min(float(BURST), tokens + (now - at) / REFILL_SECONDS)
        self._tokens.put(uid, (max(0.0, tokens - 1), now))
        return tokens >= 1

    def _repetitive(self, alike: Same, message: str) -> bool:
        """Whether there have been so many messages for this that they are combined."""
        now = self._clock.monotonic()
        messages, at = self._messages.get(alike) or (set[str](), now)
        if now - at > SIMILAR_SECONDS:
            messages = set()
        messages.add(message)
        self._messages.put(alike, (messages, now))
        if len(messages) < SIMILAR:
            return False
        messages.pop()
        return True
