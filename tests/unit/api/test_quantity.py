from __future__ import annotations

from fractions import Fraction

import pytest

from minikube.api import quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0.5", "500m"), ("1.5Gi", "1536Mi"), ("1024Mi", "1Gi"), ("1000m", "1"), ("100k", "100k"), ("1e3", "1e3"),
        ("12E6", "12e6"), ("1.3Ki", "1331200m"), ("512Ki", "512Ki"), ("0.1n", "1n"), ("5E", "5E"), ("0", "0"),
        ("0Gi", "0"), ("1000", "1k"), ("-1500m", "-1500m"), ("+1", "1"), (".5", "500m"), ("0.5Mi", "512Ki"),
        (2, "2"), (0.25, "250m"),
    ],
)  # fmt: skip
def test_a_quantity_is_written_canonically(text, canonical):
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize("text", ["", "1.5.5", "1ki", "Gi", "1 Gi", "abc", "1Kii", "."])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(quantity.QuantityError):
        quantity.parse(text)


def test_amounts_are_exact_and_round_up():
    assert quantity.parse("0.1") == Fraction(1, 10)
    assert quantity.milli_value("100u") == 1
    assert quantity.value("1500m") == 2
    assert quantity.value("1Gi") == 1024**3
