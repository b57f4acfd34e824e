"""Schedules as robfig/cron reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from minikube.api.cron import parse

ZURICH = ZoneInfo("Europe/Zurich")


def at(text: str, zone: ZoneInfo | None = None) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "coming"),
    [
        ("*/1 * * * ?", "2026-03-04 10:11:12", "2026-03-04 10:12"),
        ("@hourly", "2026-03-04 10:00", "2026-03-04 11:00"),
        ("5/20 * * * *", "2026-03-04 10:06", "2026-03-04 10:25"),
        ("0 9-17/4 * * Mon-fri", "2026-03-06 17:00", "2026-03-09 09:00"),
        ("0 0 1,15 * *", "2026-03-04 10:00", "2026-03-15 00:00"),
        # Day or weekday, unless one of them is a star.
        ("0 0 13 * fri", "2026-03-04 00:00", "2026-03-06 00:00"),
        ("0 0 */2 * fri", "2026-03-04 12:00", "2026-03-05 00:00"),
        ("0 0 */1 * fri", "2026-03-04 12:00", "2026-03-06 00:00"),
        ("0 0 29 2 ?", "2026-03-04 00:00", "2028-02-29 00:00"),
        ("0 0 31 2 *", "2026-03-04 00:00", None),
        ("0 0 1 jan *", "2026-03-04 00:00", "2027-01-01 00:00"),
        ("@every 1h30m", "2026-03-04 10:00:30", "2026-03-04 11:30:30"),
    ],
)
def test_the_next_time(schedule: str, after: str, coming: str | None):
    assert parse(schedule).next(at(after)) == (at(coming) if coming else None)


def test_a_time_that_summer_time_leaves_out_does_not_come_and_one_that_it_repeats_comes_twice():
    assert parse("30 2 * * *").next(at("2026-03-29 00:00", ZURICH)) == at("2026-03-30 02:30", ZURICH)
    first = parse("30 2 * * *").next(at("2026-10-25 00:00", ZURICH))
    assert first is not None
    second = parse("30 2 * * *").next(first)
    assert second is not None
    assert (second.astimezone(UTC) - first.astimezone(UTC)).total_seconds() == 3600


def test_missed_times_come_latest_first_and_not_without_end():
    since, now = at("2025-01-01 00:00"), at("2026-03-04 10:11")
    assert parse("*/5 * * * *").missed(at("2026-03-04 10:00"), now, 9) == [
        at("2026-03-04 10:10"),
        at("2026-03-04 10:05"),
    ]
    assert parse("@every 4m").missed(at("2026-03-04 10:00"), now, 9) == [
        at("2026-03-04 10:08"),
        at("2026-03-04 10:04"),
    ]
    assert len(parse("* * * * *").missed(since, now, 101)) == 101
    assert parse("11 10 * * *").missed(since, now, 1) == [now]
    assert parse("@daily").missed(now, now, 9) == []


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("@never", "unrecognized descriptor: @never"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("*/2/2 * * * *", "too many slashes: */2/2"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    ],
)
def test_what_is_no_schedule(schedule: str, why: str):
    with pytest.raises(ValueError) as caught:
        parse(schedule)
    assert str(caught.value) == why
