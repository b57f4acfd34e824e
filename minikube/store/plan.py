"""What a batch of writes comes to, decided before anything touches a disk.

Writes are taken in order against the published state and each other. A write that lost to another one of its
own batch is only refused when the batch has been committed: had the commit failed, nothing would have won.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from minikube.store.base import Durability, Event, EventType, Record
from minikube.store.errors import KeyExists, RevisionMismatch, StoreError


class Write(msgspec.Struct):
    """A requested write. `expect` None: create; `value` None: delete. `done` gets the record or a StoreError."""

    key: str
    value: bytes | None
    expect: int | None
    durability: Durability
    done: asyncio.Future[Record]


class Outcome(msgspec.Struct):
    """`events` to publish with the write each answers, and the refusals to hand out."""

    events: list[tuple[Event, Write]]
    refusals: list[tuple[StoreError, Write]]
    last: int


def plan(batch: Sequence[Write], current: Mapping[str, Record], last: int) -> Outcome:
    """Give each write that holds the next revision after `last`."""
    outcome = Outcome([], [], last)
    changed: dict[str, Record | None] = {}
    for write in batch:
        now = changed[write.key] if write.key in changed else current.get(write.key)
        if write.expect is None:
            if now is not None:
                outcome.refusals.append((KeyExists(now), write))
                continue
        elif now is None or now.revision != write.expect:
            outcome.refusals.append((RevisionMismatch(write.key, now), write))
            continue
        outcome.last += 1
        created = now.created if now else outcome.last
        if write.value is None:
            assert now is not None
            record = Record(write.key, now.value, outcome.last, created)
            event = Event(EventType.DELETE, record, now)
            changed[write.key] = None
        else:
            record = Record(write.key, write.value, outcome.last, created)
            event = Event(EventType.PUT, record, now)
            changed[write.key] = record
        outcome.events.append((event, write))
    return outcome


def answer(outcome: Outcome) -> None:
    """Tell every caller; to be called after the events have been published."""
    for event, write in outcome.events:
        if not write.done.done():
            write.done.set_result(event.record)
    for refusal, write in outcome.refusals:
        if not write.done.done():
            write.done.set_exception(refusal)


def fail(batch: Sequence[Write], error: StoreError) -> None:
    """Tell every caller that nothing happened."""
    for write in batch:
        if not write.done.done():
            write.done.set_exception(error)
