"""Requests as they go out: made, replaced by losses, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sluice.buffer.loss import LOSS_REASONS, LossRange, LossReason, append_loss, encode_losses
from sluice.delivery.source import FrozenRequest
from sluice.encode.protobuf import varint_field
from sluice.limits import LOSSES_PER_REQUEST

_FIRST_SEQUENCE_FIELD = 2
_LOSSES_FIELD = 5


def first_sequence_field(first: int) -> bytes:
    """What stands in front of a request's events."""
    return varint_field(_FIRST_SEQUENCE_FIELD, first)


def freeze_losses(losses: Sequence[LossRange]) -> list[FrozenRequest]:
    """Requests of nothing but these losses, which follow one another without a hole; one, unless they are a great
    many."""
    requests = []
    for start in range(0, len(losses), LOSSES_PER_REQUEST):
        part = tuple(losses[start : start + LOSSES_PER_REQUEST])
        first, last = part[0].first, part[-1].first + part[-1].count - 1
        data = first_sequence_field(first) + encode_losses(part)
        requests.append(FrozenRequest(first, last, 0, part, data))
    return requests


def freeze_lost(
    first: int, last: int, known: Iterable[LossRange], reason: LossReason, time_ns: int
) -> list[FrozenRequest]:
    """What takes the place of requests that will never be stored: the same numbers, all of them lost. Those that
    were lost before keep their reasons; `known` are their ranges, ascending."""
    ranges: list[LossRange] = []
    following = first

    def lose_until(end: int) -> None:
        nonlocal following
        if end > following:
            append_loss(ranges, LossRange(following, end - following, reason, time_ns))
            following = end

    for loss in known:
        end = min(loss.first + loss.count, last + 1)
        if end <= following:
            continue
        lose_until(loss.first)
        append_loss(ranges, LossRange(following, end - following, loss.reason, loss.time_ns))
        following = end
    lose_until(last + 1)
    return freeze_losses(ranges)


def thaw_request(first: int, last: int, events: int, data: bytes) -> FrozenRequest:
    """A request as it was frozen once, from what the spool holds of it."""
    losses = read_losses(data) if events < last - first + 1 else ()
    request = FrozenRequest(first, last, events, losses, data)
    request.spooled = "stored"
    return request


def read_losses(data: bytes) -> tuple[LossRange, ...]:
    """The losses of an encoded request, ascending. Empty for bytes that are no such request: they were checked by
    their checksum, and what a later version puts into them is passed over."""
    # Here, so that a program that only logs and has no spool does not pay for it at its start.
    from google.protobuf.message import DecodeError

    from sluice._generated.collector_pb2 import LogRequest

    try:
        request = LogRequest.FromString(data)
    except DecodeError:
        return ()
    return tuple(
        LossRange(
            loss.first_sequence,
            loss.count,
            LOSS_REASONS[loss.reason - 1] if 1 <= loss.reason <= len(LOSS_REASONS) else "refused",
            loss.time_unix_nano,
        )
        for loss in request.losses
        if loss.first_sequence > 0 and loss.count > 0
    )
