"""Eviction thresholds: which there are, when they are met, and what the node says of itself meanwhile. Pure.

Rules: pkg/kubelet/eviction. A hard threshold acts at once, a soft one when it has been met for its grace period; a
pressure condition stays for the transition period after its last threshold, so that it does not flap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from minikube.api.quantity import QuantityError, format, parse

MEMORY, NODE_DISK, NODE_INODES = "memory.available", "nodefs.available", "nodefs.inodesFree"
IMAGE_DISK, IMAGE_INODES, PIDS = "imagefs.available", "imagefs.inodesFree", "pid.available"
CONDITIONS = {
    MEMORY: "MemoryPressure",
    NODE_DISK: "DiskPressure",
    NODE_INODES: "DiskPressure",
    IMAGE_DISK: "DiskPressure",
    IMAGE_INODES: "DiskPressure",
    PIDS: "PIDPressure",
}
RESOURCES = {
    MEMORY: "memory",
    NODE_DISK: "ephemeral-storage",
    NODE_INODES: "inodes",
    IMAGE_DISK: "ephemeral-storage",
    IMAGE_INODES: "inodes",
    PIDS: "pids",
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class Measure(msgspec.Struct, frozen=True):
    """How much of something is left: bytes, inodes or processes."""

    available: int
    capacity: int


class Threshold(msgspec.Struct, frozen=True):
    signal: str
    text: str
    """As configured: 100Mi or 10%."""
    grace: float | None = None
    """Seconds; None: hard."""
    reclaim: str = ""
    """How much more than that is to be there before it is enough; as `text`."""

    def amount(self, capacity: int) -> int:
        return _amount(self.text, capacity)

    def met(self, measures: Mapping[str, Measure], *, before: bool = False) -> bool:
        """`before`: it has been met, and what is short is being reclaimed."""
        found = measures.get(self.signal)
        if found is None:
            return False
        more = _amount(self.reclaim, found.capacity) if before and self.reclaim else 0
        return found.available < self.amount(found.capacity) + more


def _amount(text: str, capacity: int) -> int:
    """Raises ValueError, QuantityError."""
    if text.endswith("%"):
        return int(capacity * Fraction(text[:-1]) / 100)
    return int(parse(text))


def parse_duration(text: str) -> float:
    """Seconds of what Go writes: 1m30s. Raises ValueError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


NEVER = ("0%", "100%")
"""Switches a threshold off."""


def parse_thresholds(
    hard: str, soft: str = "", grace_periods: str = "", reclaim: str = ""
) -> tuple[Threshold, ...]:
    """`signal<quantity`, `signal=duration` and `signal=quantity`, separated by commas. Raises ValueError."""
    graces = {name: parse_duration(text) for name, text in pairs(grace_periods, "=")}
    more = dict(pairs(reclaim, "="))
    found = [Threshold(signal, text) for signal, text in pairs(hard, "<")]
    for signal, text in pairs(soft, "<"):
        if signal not in graces:
            raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
        found.append(Threshold(signal, text, graces[signal]))
    for signal, text in (*((each.signal, each.text) for each in found), *more.items()):
        _check(signal, text)
    return tuple(replace(each, reclaim=more.get(each.signal, "")) for each in found if each.text not in NEVER)


def _check(signal: str, text: str) -> None:
    """Raises ValueError."""
    if signal not in CONDITIONS:
        raise ValueError(f"unknown eviction signal {signal}; known are {', '.join(CONDITIONS)}")
    try:
        amount = _amount(text, 100)
    except (QuantityError, ValueError) as error:
        raise ValueError(f"eviction threshold {signal}<{text}: {error}") from error
    if amount < 0:
        raise ValueError(f"eviction threshold {signal} must be positive: {text}")


def pairs(text: str, separator: str) -> Iterable[tuple[str, str]]:
    """The parts of `name<separator>value,…`. Raises ValueError."""
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, found, value = part.partition(separator)
        if not found or not value:
            raise ValueError(f"{part!r} should be name{separator}value")
        yield name, value


class Pressure(msgspec.Struct, frozen=True):
    """What is known from one look to the next."""

    since: Mapping[Threshold, datetime] = {}
    """When a threshold that is met now was first seen so."""
    last: Mapping[str, datetime] = {}
    """Condition -> when one of its thresholds was last met."""

    def look(self, thresholds: Iterable[Threshold], measures: Mapping[str, Measure], now: datetime) -> Pressure:
        met = [each for each in thresholds if each.met(measures, before=each in self.since)]
        since = {each: self.since.get(each, now) for each in met}
        acting = {CONDITIONS[each.signal]: now for each in _due(since, now)}
        return Pressure(since, {**self.last, **acting})

    def due(self, now: datetime) -> list[Threshold]:
        """What has to be acted upon: memory first, hard before soft."""
        return sorted(_due(self.since, now), key=lambda each: (each.signal != MEMORY, each.grace is not None))

    def conditions(self, now: datetime, transition: timedelta) -> frozenset[str]:
        return frozenset(name for name, at in self.last.items() if now - at < transition or at == now)


def _due(since: Mapping[Threshold, datetime], now: datetime) -> list[Threshold]:
    return [each for each, at in since.items() if each.grace is None or (now - at).total_seconds() >= each.grace]


def amount_text(signal: str, amount: int) -> str:
    return format(amount, "DecimalSI" if signal in (NODE_INODES, IMAGE_INODES, PIDS) else "BinarySI")
