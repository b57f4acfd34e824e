"""Resource quantities: 500m, 1Gi, 1e3. Rules: k8s.io/apimachinery/pkg/api/resource.Quantity."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from minikube.api.meta import Quantity

FORMAT = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_SHAPE = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]+)?\Z")
_BINARY = {suffix: 1024**power for power, suffix in enumerate(("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


class QuantityError(ValueError):
    """Not a quantity."""

    def __init__(self) -> None:
        super().__init__(f"quantities must match the regular expression '{FORMAT}'")


@lru_cache(maxsize=4096)
def parse(quantity: Quantity) -> Fraction:
    """The exact amount. Raises QuantityError."""
    if isinstance(quantity, bool):
        raise QuantityError
    if isinstance(quantity, int):
        return Fraction(quantity)
    if isinstance(quantity, float):
        return Fraction(str(quantity))
    found = _SHAPE.match(quantity)
    if found is None or len(quantity) > 64:
        raise QuantityError
    sign, digits, suffix = found.groups()
    amount = Fraction(digits.rstrip(".") if digits.endswith(".") else digits)
    suffix = suffix or ""
    if suffix in _BINARY and suffix:
        amount *= _BINARY[suffix]
    elif suffix in _DECIMAL:
        amount *= Fraction(10) ** _DECIMAL[suffix]
    else:
        exponent = int(suffix[1:])
        if abs(exponent) > 100:
            raise QuantityError
        amount *= Fraction(10) ** exponent
    return -amount if sign == "-" else amount


def value(quantity: Quantity) -> int:
    """In whole units, rounded up (away from zero)."""
    return _ceil(parse(quantity))


def milli_value(quantity: Quantity) -> int:
    """In thousandths, rounded up."""
    return _ceil(parse(quantity) * 1000)


def canonical(quantity: Quantity) -> str:
    """As upstream prints it: the largest suffix of the same family that leaves no fraction."""
    amount = parse(quantity)
    text = str(quantity)
    if text.endswith("i"):
        for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
            if amount and amount % _BINARY[suffix] == 0:
                return f"{amount // _BINARY[suffix]}{suffix}"
        if amount.denominator == 1:
            return str(amount)
    if amount == 0:
        return "0"
    exponential = isinstance(quantity, str) and re.search(r"[eE][+-]?[0-9]+\Z", text)
    for suffix, power in sorted(_DECIMAL.items(), key=lambda item: -item[1]):
        scaled = amount / Fraction(10) ** power
        if scaled.denominator == 1:
            if exponential:
                return f"{scaled}e{power}" if power else str(scaled)
            return f"{scaled}{suffix}"
    return f"{_ceil(amount * 10**9)}n"


def _ceil(amount: Fraction) -> int:
    whole = abs(amount.numerator) // amount.denominator
    if amount.denominator != 1:
        whole += 1
    return -whole if amount < 0 else whole
