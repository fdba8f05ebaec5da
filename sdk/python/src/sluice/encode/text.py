"""Text as UTF-8, as the wire wants it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from sluice.encode.protobuf import varint

#: Lengths that take one byte, ready to be joined.
_ONE_BYTE = [bytes([length]) for length in range(0x80)]
_length_of = _ONE_BYTE.__getitem__


def utf8(text: str) -> bytes:
    """The text as UTF-8; a lone surrogate becomes U+FFFD, a pair of them the character that they stand for."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        # As UTF-16 a pair is what it means; in Python's own strings it is two lone ones.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def utf8_cut(text: str, max_bytes: int) -> bytes:
    """As much of the text as fits, cut between characters."""
    # No character takes less than a byte, so what lies beyond is not worth encoding.
    data = utf8(text[: max_bytes + 1])
    if len(data) <= max_bytes:
        return data
    end = max_bytes
    # Back to the start of a character: continuation bytes are 10xxxxxx.
    while end > 0 and data[end] & 0xC0 == 0x80:
        end -= 1
    return data[:end]


def sent_text(text: str) -> str:
    """The text as the collector sees it; the caller's own object if nothing about it changes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return utf8(text).decode()
    return text


def pack(texts: Sequence[bytes]) -> bytes:
    """Encoded texts one behind the other, each with its length in front."""
    lengths = list(map(len, texts))
    if not lengths:
        return b""
    if max(lengths) < 0x80:
        return b"".join(chain.from_iterable(zip(map(_length_of, lengths), texts)))
    return b"".join(chain.from_iterable(zip(map(varint, lengths), texts)))


def packed_size(texts: Sequence[bytes]) -> int:
    """Bytes of `pack(texts)`."""
    size = 0
    for text in texts:
        length = len(text)
        size += length + (1 if length < 0x80 else (length.bit_length() + 6) // 7)
    return size
