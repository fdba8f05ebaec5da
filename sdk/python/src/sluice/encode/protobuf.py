"""The few rules of Protobuf's encoding that the SDK needs (protobuf.dev/programming-guides/encoding)."""

from __future__ import annotations

VARINT = 0
FIXED64 = 1
BYTES = 2

_SMALL = [bytes([value]) for value in range(0x80)]
_MASK_64 = 0xFFFF_FFFF_FFFF_FFFF


def varint(value: int) -> bytes:
    """A whole number from 0 to 2^64 - 1."""
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value >= 0x80:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_size(value: int) -> int:
    """Bytes of `varint(value)`."""
    return 1 if value < 0x80 else (value.bit_length() + 6) // 7


def zigzag(value: int) -> int:
    """Folds the sign of 64 bits into the lowest bit, as `sint64` wants it."""
    return ((value << 1) ^ (value >> 63)) & _MASK_64


def tag(field: int, wire_type: int) -> bytes:
    """What stands in front of a field's value."""
    return varint(field << 3 | wire_type)


def bytes_field(field: int, value: bytes) -> bytes:
    """A field of the type bytes, string or message, on its own."""
    return tag(field, BYTES) + varint(len(value)) + value


def varint_field(field: int, value: int) -> bytes:
    """A field of the type uint32 or uint64, on its own."""
    return tag(field, VARINT) + varint(value)


def fixed64_field(field: int, value: int) -> bytes:
    """A field of the type fixed64, on its own."""
    return tag(field, FIXED64) + value.to_bytes(8, "little")
