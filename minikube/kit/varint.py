"""Numbers as protobuf writes them: seven bits a byte, the lowest first."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """Of a negative number its two's complement in 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
