"""What a log call hands over beside its fields."""

from __future__ import annotations

from typing import NamedTuple, Optional, Union

from sluice.encode.value import Plain

#: OpenTelemetry's severity numbers of the usual levels.
SEVERITY_NUMBERS = {
    "debug": 5,
    "info": 9,
    "warning": 13,
    "warn": 13,
    "error": 17,
    "critical": 21,
    "fatal": 21,
}
SEVERITY_MAX = 24
DEFAULT_SEVERITY = 9


class Head(NamedTuple):
    """What a log call says of its event beside the fields, where that is more than a name. What is reserved among the
    fields is found when they are read, unless they are literal."""

    name: str = ""
    severity: int = DEFAULT_SEVERITY
    body: Optional[str] = None  # noqa: UP045 (evaluated by NamedTuple on Python 3.9)
    #: Whether all fields are fields, whatever their names.
    is_literal: bool = False
    #: Of literal fields.
    step: Plain = None


#: A name alone is what `event` was given.
AnyHead = Union[str, Head]
#: What a log call kept of its fields.
Fields = dict[str, Plain]


def severity_number(severity: object) -> int | None:
    """The number of a level's name or of a number from 1 to 24; None for what is neither."""
    if type(severity) is int:
        return severity if 1 <= severity <= SEVERITY_MAX else None
    return SEVERITY_NUMBERS.get(severity.lower()) if type(severity) is str else None
