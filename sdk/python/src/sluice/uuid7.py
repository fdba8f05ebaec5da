"""Producer ids."""

from __future__ import annotations

import os
import uuid


def uuid7(unix_ms: int) -> bytes:
    """16 bytes of a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds since 1970, then random bits."""
    data = bytearray((unix_ms & 0xFFFF_FFFF_FFFF).to_bytes(6, "big") + os.urandom(10))
    data[6] = data[6] & 0x0F | 0x70
    data[8] = data[8] & 0x3F | 0x80
    return bytes(data)


def uuid_text(data: bytes) -> str:
    """The usual text form of 16 bytes, lower case."""
    return str(uuid.UUID(bytes=data))
