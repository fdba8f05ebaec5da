"""Numbers that were used up without an event, in a draft."""

from __future__ import annotations

from sluice.buffer.loss import LOSS_REASONS, LossRange, LossReason, append_loss
from sluice.limits import EXACT_LOSS_RANGES


class _DraftLoss:
    __slots__ = ("at", "count", "reason", "time_ns")

    def __init__(self, at: int, reason: LossReason, count: int, time_ns: int) -> None:
        #: So many events lie before it.
        self.at = at
        self.reason = reason
        self.count = count
        self.time_ns = time_ns


class DraftLosses:
    """The losses of a draft, in order."""

    def __init__(self) -> None:
        self._losses: list[_DraftLoss] = []

    def add(self, at: int, reason: LossReason, count: int, time_ns: int) -> None:
        """Numbers that were used up behind so many events. Bounded: once there are many, losses between the same two
        events are counted together by reason, which keeps every count and gives up their order."""
        losses = self._losses
        reach = 1 if len(losses) < EXACT_LOSS_RANGES else len(LOSS_REASONS)
        for loss in losses[: -reach - 1 : -1]:
            if loss.at == at and loss.reason == reason:
                loss.count += count
                return
        losses.append(_DraftLoss(at, reason, count, time_ns))

    def ranges(self, first: int) -> list[LossRange]:
        """As ranges of a draft that begins at `first`."""
        ranges: list[LossRange] = []
        lost = 0
        for loss in self._losses:
            append_loss(ranges, LossRange(first + loss.at + lost, loss.count, loss.reason, loss.time_ns))
            lost += loss.count
        return ranges
