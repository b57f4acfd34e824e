"""Numbers as protobuf writes them."""

from __future__ import annotations

import pytest

from minikube.kit.varint import varint


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (-1, b"\xff" * 9 + b"\x01"),
        ((1 << 64) - 1, b"\xff" * 9 + b"\x01"),
    ],
)
def test_seven_bits_a_byte_the_lowest_first(number: int, written: bytes) -> None:
    assert varint(number) == written
