"""What a log call keeps of its fields: values that nobody can change afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, Optional

from sluice.encode.value import Deferred, Oversized, Plain, Unencodable, plain
from sluice.limits import EVENT_BYTES

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

#: What a copy of a tensor that waits on its device is counted as here.
_DEFERRED_BYTES = 1024


class Snapshot(NamedTuple):
    fields: dict[str, Plain]
    #: About what the fields take in memory, beyond their places.
    size: int
    field_errors: int
    #: The last of the errors, in words.
    problem: Optional[str]  # noqa: UP045 (evaluated by NamedTuple on Python 3.9)


def snapshot(fields: Mapping[Any, object], is_literal: bool) -> Snapshot:
    """Raises `Oversized` for an event that is too large. Runs the caller's own code.

    `is_literal`: no name is reserved.
    """
    kept: dict[str, Plain] = {}
    size = errors = 0
    problem = None
    for given, value in fields.items():
        key = given if type(given) is str else str(given)
        try:
            keep = plain(value) if is_literal else _plain_of(key, value)
        except Oversized:
            raise
        except Exception as error:
            errors += 1
            problem = f"field {key[:100]!r} is left out: {_words(error)}"
            continue
        kept[key] = keep
        size += len(key)
        kind = type(keep)
        if kind is str:
            size += len(keep)  # type: ignore[arg-type]
        elif kind is int:
            size += keep.bit_length() // 8  # type: ignore[union-attr]
        elif kind is Deferred:
            size += _DEFERRED_BYTES
        if size > EVENT_BYTES:
            raise Oversized
    return Snapshot(kept, size, errors, problem)


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
