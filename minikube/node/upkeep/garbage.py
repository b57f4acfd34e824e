"""Which images go when the disk fills up. Pure. Rules: pkg/kubelet/images/image_gc_manager.go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from minikube.node.runtime.base import Image
from minikube.node.upkeep.thresholds import Measure


class Record(msgspec.Struct, frozen=True):
    """What this agent has seen of an image; both are forgotten with the process."""

    first_seen: datetime
    last_used: datetime | None = None


def seen(
    records: Mapping[str, Record], images: Iterable[Image], in_use: frozenset[str], now: datetime
) -> dict[str, Record]:
    """The records after another look; `in_use` are image ids."""
    found = {}
    for image in images:
        old = records.get(image.id, Record(first_seen=now))
        found[image.id] = Record(old.first_seen, now) if image.id in in_use else old
    return found


def to_free(measure: Measure, *, high: int, low: int) -> int:
    """Bytes to free so that usage falls to `low` percent; 0 while it is below `high` percent."""
    if measure.capacity <= 0:
        return 0
    used = 100 - measure.available * 100 // measure.capacity
    return max(0, measure.capacity * (100 - low) // 100 - measure.available) if used >= high else 0


def outdated(
    images: Iterable[Image], records: Mapping[str, Record], kept: frozenset[str], now: datetime, age: timedelta
) -> Sequence[Image]:
    """Those that nobody has used for longer than `age`, as far as this agent has seen."""
    found = []
    for image in images:
        record = records.get(image.id)
        if record is None or record.last_used == now or image.pinned or kept.intersection(image.tags):
            continue
        if now - (record.last_used or record.first_seen) > age:
            found.append(image)
    return found


def removable(
    images: Iterable[Image],
    records: Mapping[str, Record],
    kept: frozenset[str],
    now: datetime,
    amount: int,
    *,
    age: timedelta = timedelta(minutes=2),
) -> Sequence[Image]:
    """Least recently used first, until `amount` bytes are freed: unused, unpinned, here for `age` at least.

    `kept` are references that stay.
    """
    candidates = []
    for image in images:
        record = records.get(image.id)
        if record is None or record.last_used == now or image.pinned or kept.intersection(image.tags):
            continue
        if now - record.first_seen >= age:
            candidates.append((record.last_used or record.first_seen, record.first_seen, image))
    chosen: list[Image] = []
    for _, _, image in sorted(candidates, key=lambda each: each[:2]):
        if amount <= 0:
            break
        chosen.append(image)
        amount -= image.size
    return chosen
