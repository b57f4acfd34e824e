"""Checks and canonical forms of scalars that Go decodes with code of their own: quantities and times."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal, InvalidOperation
from functools import lru_cache

QUANTITY = re.compile(r"([+-]?)([0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
SHAPE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX = "unable to parse quantity's suffix"
NUMERIC = "unable to parse numeric part of quantity"
SCALE_OF = {exponent: suffix for suffix, exponent in DECIMAL.items()}
TIME = re.compile(r"\d{4}-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)([.,]\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@lru_cache(maxsize=4096)
def canonical_quantity(text: str) -> str:
    """The quantity as the API server writes it: 0.5 is 500m, 1024Mi is 1Gi, 1500 is 1500.

    The rules of apimachinery/pkg/api/resource ParseQuantity and CanonicalizeBytes. Raises ValueError with their
    wording.
    """
    match = QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(SHAPE)
    sign, digits, suffix = match.groups()
    try:
        number = Decimal(sign + digits)
    except InvalidOperation:
        raise ValueError(NUMERIC) from None
    if suffix in BINARY:
        value = number * (1 << (10 * BINARY[suffix]))
        if abs(value) < 1024 or value != value.to_integral_value():
            return _decimal(value)
        return _binary(value)
    if suffix in DECIMAL:
        return _decimal(number.scaleb(DECIMAL[suffix]))
    if suffix[0] in "eE" and re.fullmatch(r"[-+]?[0-9]+", suffix[1:]):
        return _exponent(number.scaleb(int(suffix[1:])))
    raise ValueError(SUFFIX)


def _binary(value: Decimal) -> str:
    whole = int(value)
    power = 0
    suffixes = ("", *BINARY)
    while whole and whole % 1024 == 0 and power < len(suffixes) - 1:
        whole //= 1024
        power += 1
    return f"{whole}{suffixes[power]}"


def _reduced(value: Decimal) -> tuple[int, int]:
    """A whole number and a power of ten that is a multiple of three, the number as small as it goes."""
    if not value:
        return 0, 0
    value = value.quantize(Decimal("1e-9"), rounding=ROUND_UP) if value.as_tuple().exponent < -9 else value  # type: ignore[operator]
    _, digits, exponent = value.as_tuple()
    whole, power = int("".join(map(str, digits))), int(exponent)
    while whole % 10 == 0:
        whole //= 10
        power += 1
    while power % 3:
        whole *= 10
        power -= 1
    return (-whole if value < 0 else whole), power


def _decimal(value: Decimal) -> str:
    whole, power = _reduced(value)
    while power > 18:
        whole, power = whole * 1000, power - 3
    return f"{whole}{SCALE_OF[power]}"


def _exponent(value: Decimal) -> str:
    whole, power = _reduced(value)
    return f"{whole}e{power}" if power else str(whole)


def time_problem(text: str) -> str:
    """Why Go's time.Parse(RFC3339) would refuse this text; empty if it would not."""
    match = TIME.fullmatch(text)
    if match is None:
        return f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
    month, day, hour, minute, second = (int(part) for part in match.groups()[:5])
    limits = (("month", 1, month, 12), ("day", 1, day, 31), ("hour", 0, hour, 23), ("minute", 0, minute, 59))
    for name, low, value, high in (*limits, ("second", 0, second, 59)):
        if not low <= value <= high:
            return f'parsing time "{text}": {name} out of range'
    return ""
