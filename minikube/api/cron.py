"""Schedules of cron jobs: five fields, their short names, and @every. Rules: robfig/cron v3, which upstream uses.

A time exists where the zone's clock shows it: one that a change to summer time leaves out does not come, one that
the change back repeats comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
SEARCHED = timedelta(days=5 * 366)
"""A schedule without any time in so many days has none (30 February)."""
_MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "may": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "nov": 11,
    "dec": 12,
}
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Bounds(msgspec.Struct, frozen=True):
    """The numbers that a field may have, and names for some of them."""

    low: int
    high: int
    names: dict[str, int] = {}


MINUTES, HOURS, DAYS = Bounds(0, 59), Bounds(0, 23), Bounds(1, 31)
MONTHS, WEEKDAYS = Bounds(1, 12, _MONTHS), Bounds(0, 6, _WEEKDAYS)


class Every(msgspec.Struct, frozen=True):
    """So many seconds after the last time, at least one."""

    seconds: int

    def next(self, after: datetime) -> datetime:
        return after.replace(microsecond=0) + timedelta(seconds=self.seconds)

    def missed(self, since: datetime, now: datetime, most: int) -> Sequence[datetime]:
        """The latest times in (since, now], latest first."""
        since = since.replace(microsecond=0)
        number = max(0, int((now - since).total_seconds()) // self.seconds)
        return [since + timedelta(seconds=self.seconds * n) for n in range(number, max(0, number - most), -1)]


class Fields(msgspec.Struct, frozen=True):
    """The minutes whose numbers are among these, by the clock of the zone that the given times are in."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    every_day: bool
    """Days or weekdays are `*`: both must match; otherwise one of them is enough."""

    def next(self, after: datetime) -> datetime | None:
        return next(self._times(after, step=1), None)

    def missed(self, since: datetime, now: datetime, most: int) -> Sequence[datetime]:
        """The latest times in (since, now], latest first, no more than `most`."""
        found: list[datetime] = []
        for at in self._times(now, step=-1):
            if at.astimezone(UTC) <= since.astimezone(UTC) or len(found) == most:
                break
            found.append(at)
        return found

    def _times(self, start: datetime, step: int) -> Iterator[datetime]:
        """Those after `start`, or with step -1 those up to it, backwards."""
        # Instants, not what clocks show: within one zone Python compares the latter.
        limit = start.astimezone(UTC)
        day, last = start.date(), start.date() + SEARCHED * step
        while (last - day) * step >= timedelta(0):
            if self._on(day):
                for at in self._of_day(day, start, step):
                    if at > limit if step > 0 else at <= limit:
                        yield at.astimezone(start.tzinfo)
            day = _following(day, step) if day.month in self.months else _other_month(day, step)

    def _on(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        fits = in_month and in_week if self.every_day else in_month or in_week
        return fits and day.month in self.months

    def _of_day(self, day: date, start: datetime, step: int) -> Iterator[datetime]:
        """In UTC."""
        zone, today = start.tzinfo, day == start.date()
        for hour in sorted(self.hours, reverse=step < 0):
            if today and (hour - start.hour) * step < -1:
                continue  # an hour more, for a clock that is set back
            shown = [
                datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold)
                for minute in self.minutes
                for fold in (0, 1)
            ]
            instants = {at.astimezone(UTC) for at in shown if _exists(at)}
            yield from sorted(instants, reverse=step < 0)


def parse(text: str) -> Fields | Every:
    """Raises ValueError with the words of upstream's parser."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@every "):
        return Every(_every(text))
    if text.startswith("@"):
        if text not in MACROS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = MACROS[text]
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    all_bounds = (MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS)
    minutes, hours, days, months, weekdays = (
        _field(field, bounds) for field, bounds in zip(fields, all_bounds, strict=True)
    )
    return Fields(minutes, hours, days, months, weekdays, every_day=_star(fields[2]) or _star(fields[4]))


def _field(field: str, bounds: Bounds) -> frozenset[int]:
    return frozenset(number for part in field.split(",") if part for number in _range(part, bounds))


def _star(field: str) -> bool:
    """A step of more than one is a choice of days."""
    return any(re.fullmatch(r"[*?](-.*)?(/0*1)?", part) for part in field.split(","))


def _range(expression: str, bounds: Bounds) -> range:
    whole, *steps = expression.split("/")
    low, *high = whole.split("-")
    if low in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        if len(high) > 1:
            raise ValueError(f"too many hyphens: {expression}")
        start = _number(low, bounds)
        end = _number(high[0], bounds) if high else start
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {expression}")
    step = _int(steps[0]) if steps else 1
    if steps and not high and low not in ("*", "?"):
        end = bounds.high
    if start < bounds.low:
        raise ValueError(f"beginning of range ({start}) below minimum ({bounds.low}): {expression}")
    if end > bounds.high:
        raise ValueError(f"end of range ({end}) above maximum ({bounds.high}): {expression}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {expression}")
    return range(start, end + 1, step)


def _number(text: str, bounds: Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _int(text) if named is None else named


def _int(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def _every(text: str) -> int:
    duration = text.removeprefix("@every ")
    if not re.fullmatch(r"\+?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+", duration):
        raise ValueError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    parts = re.findall(r"([0-9.]+)(ns|us|µs|ms|s|m|h)", duration)
    return max(1, int(sum(float(number) * _UNITS[unit] for number, unit in parts)))


def _exists(at: datetime) -> bool:
    """The zone's clock shows it."""
    return at.astimezone(UTC).astimezone(at.tzinfo).replace(tzinfo=None, fold=0) == at.replace(tzinfo=None, fold=0)


def _following(day: date, step: int) -> date:
    return day + timedelta(days=step)


def _other_month(day: date, step: int) -> date:
    """The first day of the next month, or the last of the one before."""
    first = day.replace(day=1)
    return (first + timedelta(days=32)).replace(day=1) if step > 0 else first - timedelta(days=1)
