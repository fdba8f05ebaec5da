"""What a log call keeps of its fields: values that nobody can change afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from sluice.encode.value import Deferred, Oversized, Plain, Unencodable, plain
from sluice.limits import EVENT_BYTES

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

#: What a copy of a tensor that waits on its device is counted as here.
_DEFERRED_BYTES = 1024


_INT64 = 2**63


class Snapshot:
    """What is kept of the fields of one event."""

    __slots__ = ("field_errors", "fields", "problem", "size")

    def __init__(self, fields: dict[str, Plain], size: int) -> None:
        self.fields = fields
        #: About what the fields take in memory, beyond their places.
        self.size = size
        self.field_errors = 0
        #: The last of the errors, in words.
        self.problem = ""


def snapshot(fields: Mapping[Any, object], is_literal: bool) -> Snapshot:
    """Raises `Oversized` for an event that is too large. Runs the caller's own code.

    `is_literal`: no name is reserved.
    """
    kept: dict[Any, Any] = dict(fields)
    if set(map(type, kept)) != {str}:
        kept = {key if type(key) is str else str(key): value for key, value in kept.items()}
    result = Snapshot(kept, sum(map(len, kept)))
    size = 0
    for key, value in list(kept.items()):
        kind = type(value)
        if kind is float or kind is bool or value is None:
            continue
        if kind is str:
            size += len(value)
        elif kind is int and -_INT64 <= value < _INT64:
            continue
        elif isinstance(value, float):
            # NumPy's double, which means of lists are.
            kept[key] = float.__float__(value)
        else:
            size += _convert(result, key, value, is_literal)
        if size > EVENT_BYTES:
            raise Oversized
    result.size += size
    return result


def _convert(result: Snapshot, key: str, value: object, is_literal: bool) -> int:
    """Replaces a value by what is kept of it, or leaves it out; returns what that takes."""
    try:
        keep = plain(value) if is_literal else _plain_of(key, value)
    except Oversized:
        raise
    except Exception as error:
        result.field_errors += 1
        result.problem = f"field {key[:100]!r} is left out: {_words(error)}"
        del result.fields[key]
        return 0
    result.fields[key] = keep
    kind = type(keep)
    if kind is float:
        return 0
    if kind is str:
        return len(keep)  # type: ignore[arg-type]
    if kind is int:
        return keep.bit_length() // 8  # type: ignore[union-attr]
    return _DEFERRED_BYTES if kind is Deferred else 0


def _plain_of(key: str, value: object) -> Plain:
    """Reserved names take what others do not."""
    if key == "time" and isinstance(value, datetime):
        # A time without a zone is local, as Python has it.
        return (value.astimezone(timezone.utc) - _EPOCH) // _MICROSECOND * 1000
    if key in ("trace_id", "span_id") and isinstance(value, (bytes, bytearray)):
        return value.hex()
    return plain(value)


def _words(error: Exception) -> str:
    if isinstance(error, Unencodable):
        return str(error)
    try:
        return f"{type(error).__name__}: {error}"[:200]
    except Exception:
        return type(error).__name__
