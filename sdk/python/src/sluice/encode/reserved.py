"""What is reserved among the fields of an event."""

from __future__ import annotations

from sluice.encode.head import Fields, Head, severity_number
from sluice.encode.shape import BODY, SPAN_ID, STEP, TRACE_ID
from sluice.encode.value import Plain, resolved, text_of

#: Keywords of a log call that are no fields.
RESERVED = ("step", "time", "severity", "body", "trace_id", "span_id")

#: Steps are whole numbers of 64 bits: from -STEP_MAX to one below STEP_MAX.
STEP_MAX = 2**63
_TIME_MAX_NS = 2**63
#: A time before 1973 is a duration, or seconds where nanoseconds were meant.
_TIME_MIN_S = 100_000_000


class ReservedValues:
    """What an event has beside its fields."""

    __slots__ = ("body", "severity", "span_id", "step", "time_ns", "trace_id")

    def __init__(self, head: Head) -> None:
        self.severity = head.severity
        #: Empty: none; so are the ids.
        self.body = head.body or ""
        self.step: int | None = None
        self.time_ns: int | None = None
        self.trace_id = b""
        self.span_id = b""

    @property
    def parts(self) -> int:
        """As a shape counts them."""
        parts = 0 if self.step is None else STEP
        if self.body:
            parts += BODY
        if self.trace_id:
            parts += TRACE_ID
        if self.span_id:
            parts += SPAN_ID
        return parts

    def take(self, key: str, value: Plain) -> bool:
        """Whether the value is what the reserved name is for, and taken."""
        if key == "step":
            self.step = read_step(value)
            return self.step is not None
        if key == "time":
            self.time_ns = _read_time(value)
            return self.time_ns is not None
        if key == "severity":
            severity = severity_number(value)
            self.severity = severity or self.severity
            return severity is not None
        if key == "body":
            if self.body:
                return False
            self.body = text_of(value)
            return True
        if key == "trace_id":
            self.trace_id = _read_id(value, 16)
            return bool(self.trace_id)
        self.span_id = _read_id(value, 8)
        return bool(self.span_id)


def take_reserved(head: Head, fields: Fields) -> tuple[ReservedValues, Fields, int]:
    """Takes from the fields what is reserved. What is given under a reserved name and is none of it stays a field,
    and is counted: how often is the last thing returned."""
    found = ReservedValues(head)
    if head.is_literal:
        if head.step is None:
            return found, fields, 0
        step: Fields = {"step": head.step}
        errors = _take(found, step)
        # A step that is none: a field, unless there is one of its name.
        return found, {**step, **fields}, errors
    if fields.keys().isdisjoint(RESERVED):
        return found, fields, 0
    rest = dict(fields)
    return found, rest, _take(found, rest)


def _take(found: ReservedValues, fields: Fields) -> int:
    errors = 0
    for key in RESERVED:
        if key not in fields:
            continue
        try:
            value = resolved(fields[key])
        except Exception:
            # A tensor whose device failed.
            value = None
            errors += 1
        if value is None or found.take(key, value):
            del fields[key]
        else:
            errors += 1
    return errors


def read_step(value: Plain) -> int | None:
    """A whole number of 64 bits."""
    return value if type(value) is int and -STEP_MAX <= value < STEP_MAX else None


def _read_time(value: Plain) -> int | None:
    """Nanoseconds since 1970: given as such by an integer, as seconds by a float."""
    if type(value) is float:
        # NaN is none of these.
        return int(value * 1e9) if _TIME_MIN_S <= value < _TIME_MAX_NS / 1e9 else None
    return value if type(value) is int and _TIME_MIN_S * 10**9 <= value < _TIME_MAX_NS else None


def _read_id(value: Plain, size: int) -> bytes:
    """Empty for what is no id."""
    if type(value) is not str or len(value) != 2 * size or not value.isascii() or not value.isalnum():
        return b""
    try:
        return bytes.fromhex(value)
    except ValueError:
        return b""
