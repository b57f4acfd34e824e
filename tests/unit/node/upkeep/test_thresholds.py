"""Eviction thresholds: what is parsed, when they are met, and how long their conditions stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from minikube.node.upkeep.thresholds import (
    MEMORY,
    NODE_DISK,
    Measure,
    Pressure,
    Threshold,
    parse_duration,
    parse_thresholds,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIB = 1 << 30
SHORT = {MEMORY: Measure(GIB // 2, 8 * GIB)}
PLENTY = {MEMORY: Measure(4 * GIB, 8 * GIB)}


def test_quantities_and_percentages() -> None:
    memory, disk = parse_thresholds("memory.available<1Gi, nodefs.available<10%")
    assert memory.amount(8 * GIB) == GIB
    assert disk.amount(1000) == 100
    assert memory.met(SHORT)
    assert not memory.met(PLENTY)
    assert not disk.met(SHORT)


def test_a_soft_threshold_needs_a_grace_period() -> None:
    [soft] = parse_thresholds("", "memory.available<1Gi", "memory.available=1m30s")
    assert soft == Threshold(MEMORY, "1Gi", 90.0)
    with pytest.raises(ValueError, match="grace period must be specified"):
        parse_thresholds("", "memory.available<1Gi")


def test_what_is_short_is_reclaimed_until_there_is_more_than_the_threshold_asks_for() -> None:
    [threshold] = parse_thresholds("memory.available<1Gi", reclaim="memory.available=512Mi")
    barely = {MEMORY: Measure(GIB + GIB // 4, 8 * GIB)}
    assert not Pressure().look([threshold], barely, NOW).due(NOW)
    short = Pressure().look([threshold], SHORT, NOW)
    assert short.look([threshold], barely, NOW).due(NOW) == [threshold]
    enough = {MEMORY: Measure(GIB + GIB // 2, 8 * GIB)}
    assert not short.look([threshold], enough, NOW).due(NOW)


@pytest.mark.parametrize("text", ["memory.available=much", "swap=1Gi", "memory.available=-1Gi", "memory.available"])
def test_a_minimum_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_thresholds("memory.available<1Gi", reclaim=text)


def test_a_threshold_of_nothing_or_everything_is_none() -> None:
    [kept] = parse_thresholds("memory.available<0%,nodefs.available<100%,imagefs.available<5%")
    assert kept.text == "5%"


@pytest.mark.parametrize("text", ["memory.available=1Gi", "memory<1Gi", "memory.available<much"])
def test_what_is_no_threshold_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_thresholds(text)


def test_durations_as_go_writes_them() -> None:
    assert parse_duration("1h2m3.5s") == 3723.5
    with pytest.raises(ValueError):
        parse_duration("90")


def test_a_hard_threshold_acts_at_once_and_a_soft_one_when_its_time_has_come() -> None:
    hard, soft = Threshold(MEMORY, "600Mi"), Threshold(MEMORY, "1Gi", 60.0)
    pressure = Pressure().look([hard, soft], SHORT, NOW)
    assert pressure.due(NOW) == [hard]
    later = NOW + timedelta(seconds=60)
    assert pressure.look([hard, soft], SHORT, later).due(later) == [hard, soft]


def test_a_soft_threshold_that_was_not_met_in_between_starts_again() -> None:
    soft = Threshold(MEMORY, "1Gi", 60.0)
    pressure = Pressure().look([soft], SHORT, NOW).look([soft], PLENTY, NOW + timedelta(seconds=30))
    later = NOW + timedelta(seconds=60)
    assert pressure.look([soft], SHORT, later).due(later) == []


def test_memory_comes_before_disk() -> None:
    both = {**SHORT, NODE_DISK: Measure(0, 100)}
    pressure = Pressure().look([Threshold(NODE_DISK, "10%"), Threshold(MEMORY, "1Gi")], both, NOW)
    assert [each.signal for each in pressure.due(NOW)] == [MEMORY, NODE_DISK]


def test_a_condition_stays_for_the_transition_period() -> None:
    hard, minutes = Threshold(MEMORY, "1Gi"), timedelta(minutes=5)
    pressure = Pressure().look([hard], SHORT, NOW)
    assert pressure.conditions(NOW, minutes) == {"MemoryPressure"}
    later = NOW + timedelta(minutes=4)
    assert pressure.look([hard], PLENTY, later).conditions(later, minutes) == {"MemoryPressure"}
    later = NOW + timedelta(minutes=5)
    assert pressure.look([hard], PLENTY, later).conditions(later, minutes) == frozenset()
