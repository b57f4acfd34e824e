"""Quantities (library.Quantity): arithmetic over resource amounts."""

from __future__ import annotations

from fractions import Fraction

from minikube.api.quantity import parse, valid
from minikube.schema.cel_library.values import BOOL, DOUBLE, INT, MAP, STRING, Library, Opaque, text_of

QUANTITY = "kubernetes.Quantity"


def _quantity(amount: Fraction) -> Opaque:
    return {QUANTITY: str(amount)}


def amount(value: Opaque | int) -> Fraction:
    """Raises ValueError: no quantity."""
    return Fraction(value) if isinstance(value, int) else Fraction(text_of(value, QUANTITY))


def _as_integer(value: Opaque) -> int:
    number = amount(value)
    if number.denominator != 1 or not -(2**63) <= number < 2**63:
        raise ValueError("cannot convert value to integer")
    return number.numerator


FUNCTIONS: Library = {
    "quantity": ((MAP, (STRING,), lambda text: _quantity(parse(text))),),
    "isQuantity": ((BOOL, (STRING,), valid),),
}
MEMBERS: Library = {
    "sign": ((INT, (MAP,), lambda q: (amount(q) > 0) - (amount(q) < 0)),),
    "isInteger": ((BOOL, (MAP,), lambda q: amount(q).denominator == 1),),
    "asInteger": ((INT, (MAP,), _as_integer),),
    "asApproximateFloat": ((DOUBLE, (MAP,), lambda q: float(amount(q))),),
    "add": tuple((MAP, (MAP, kind), lambda a, b: _quantity(amount(a) + amount(b))) for kind in (MAP, INT)),
    "sub": tuple((MAP, (MAP, kind), lambda a, b: _quantity(amount(a) - amount(b))) for kind in (MAP, INT)),
}
