"""Sequence numbers without an event, and how a request reports them."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence
from dataclasses import dataclass, replace
from typing import Literal

from sluice.encode.protobuf import bytes_field, fixed64_field, varint_field

#: Why an event was not delivered; the words of the tables.
LossReason = Literal["buffer_full", "too_large", "closed", "encoding", "refused", "spool_damaged"]

#: In the order of their numbers on the wire, from 1.
LOSS_REASONS: tuple[LossReason, ...] = (
    "buffer_full",
    "too_large",
    "closed",
    "encoding",
    "refused",
    "spool_damaged",
)

_NUMBERS = {reason: number for number, reason in enumerate(LOSS_REASONS, start=1)}
_LOSSES_FIELD = 5


@dataclass(frozen=True)
class LossRange:
    """Sequence numbers that were used up without an event."""

    first: int
    count: int
    reason: LossReason
    #: When the first of them was dropped, nanoseconds since 1970.
    time_ns: int


def append_loss(ranges: MutableSequence[LossRange], loss: LossRange) -> None:
    """Appends a range, or lengthens the last one if it continues it."""
    if ranges:
        last = ranges[-1]
        if last.reason == loss.reason and last.first + last.count == loss.first:
            ranges[-1] = replace(last, count=last.count + loss.count)
            return
    ranges.append(loss)


def count_lost(ranges: Iterable[LossRange], first: int, last: int) -> int:
    """How many of the numbers from `first` to `last` lie in the ranges."""
    lost = 0
    for loss in ranges:
        start = max(loss.first, first)
        end = min(loss.first + loss.count - 1, last)
        lost += max(0, end - start + 1)
    return lost


def encode_losses(ranges: Iterable[LossRange]) -> bytes:
    """The fields `losses` of a request."""
    return b"".join(
        bytes_field(
            _LOSSES_FIELD,
            varint_field(1, loss.first)
            + varint_field(2, loss.count)
            + varint_field(3, _NUMBERS[loss.reason])
            + fixed64_field(5, loss.time_ns),
        )
        for loss in ranges
    )
