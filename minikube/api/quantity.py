"""Resource quantities: `500m`, `1.5Gi`, `12e6` read exactly, compared, and written in canonical form.

The rules are those of k8s.io/apimachinery/pkg/api/resource: nothing finer than a billionth (rounded up),
nothing above 2^63-1, canonical form has no fraction and the largest suffix that fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from minikube.api.meta import Quantity

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

_PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(.*)\Z", re.DOTALL)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)\Z")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_SUFFIX_OF_POWER = {power: suffix for suffix, power in _DECIMAL.items()}
_SUFFIX_OF_1024 = {power: suffix for suffix, power in _BINARY.items()}
_LARGEST = Fraction(2**63 - 1)
_NANO = 10**9
_CUT = 120


class QuantityError(ValueError):
    """The text is no quantity; worded as upstream words it."""


@lru_cache(maxsize=8192)
def _read(text: str) -> tuple[Fraction, Format]:
    shape = _SHAPE.match(text)
    if not shape or not re.match(_PATTERN, text):
        raise QuantityError(f"quantities must match the regular expression '{_PATTERN}'")
    sign, whole, fraction, suffix = shape.group(1), shape.group(2), shape.group(3) or "", shape.group(4)
    if not whole and not fraction:
        raise QuantityError("unable to parse numeric part of quantity")
    if len(text) > _CUT:
        raise QuantityError("unable to parse numeric part of quantity")
    number = Fraction(int((whole + fraction) or "0"), 10 ** len(fraction))
    format: Format
    if suffix in _DECIMAL:
        power, format = _DECIMAL[suffix], "DecimalSI"
        number = number * 10**power if power >= 0 else number / 10**-power
    elif suffix in _BINARY:
        number, format = number * 1024 ** _BINARY[suffix], "BinarySI"
    elif exponent := _EXPONENT.match(suffix):
        power, format = max(-60, min(60, int(exponent.group(1)))), "DecimalExponent"
        number = number * 10**power if power >= 0 else number / 10**-power
    else:
        raise QuantityError("unable to parse quantity's suffix")
    number = min(Fraction(_ceil(number * _NANO), _NANO), _LARGEST)
    return (-number if sign == "-" else number), format


def _ceil(number: Fraction) -> int:
    return -(-number.numerator // number.denominator)


def _text(quantity: Quantity) -> str:
    if isinstance(quantity, str):
        return quantity.strip()
    return repr(quantity) if isinstance(quantity, float) else str(quantity)


def parse(quantity: Quantity | None) -> Fraction:
    """The exact amount in base units; nothing counts as zero. Raises QuantityError."""
    return Fraction(0) if quantity is None else _read(_text(quantity))[0]


def value(quantity: Quantity | None) -> int:
    """Whole base units, rounded up. Raises QuantityError."""
    return _ceil(parse(quantity))


def milli_value(quantity: Quantity | None) -> int:
    """Thousandths (of a CPU), rounded up. Raises QuantityError."""
    return _ceil(parse(quantity) * 1000)


def format_of(quantity: Quantity) -> Format:
    """The family of suffixes it is written with. Raises QuantityError."""
    return _read(_text(quantity))[1]


def format(amount: Fraction | int, style: Format = "DecimalSI") -> str:
    """Canonical text: 1500 -> "1500", 2000 -> "2k", BinarySI 1536 Mi -> "1536Mi", 0.5 -> "500m"."""
    amount = Fraction(amount)
    if style == "BinarySI" and abs(amount) >= 1024 and amount.denominator == 1:
        number, power = amount.numerator, 0
        while number % 1024 == 0 and power < 6:
            number, power = number // 1024, power + 1
        return f"{number}{_SUFFIX_OF_1024.get(power, '')}"
    scaled = _ceil(amount * _NANO) if amount >= 0 else -_ceil(-amount * _NANO)
    if scaled == 0:
        return "0"
    power = -9
    while scaled % 1000 == 0 and power < 18:
        scaled, power = scaled // 1000, power + 3
    if style == "DecimalExponent":
        return f"{scaled}e{power}" if power else str(scaled)
    return f"{scaled}{_SUFFIX_OF_POWER[power]}"


def canonical(quantity: Quantity) -> str:
    """The same amount in canonical form: "0.5" -> "500m", "1024Mi" -> "1Gi". Raises QuantityError."""
    return format(*_read(_text(quantity)))


def valid(quantity: Quantity) -> bool:
    try:
        _read(_text(quantity))
    except QuantityError:
        return False
    return True


def total(lists: Iterable[Mapping[str, Quantity]]) -> dict[str, Fraction]:
    """The sum of resource lists by resource name. Raises QuantityError."""
    sums: dict[str, Fraction] = {}
    for amounts in lists:
        for name, quantity in amounts.items():
            sums[name] = sums.get(name, Fraction(0)) + parse(quantity)
    return sums
