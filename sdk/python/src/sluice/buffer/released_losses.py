"""Losses that the collector has acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from sluice.buffer.loss import LossRange, append_loss
from sluice.limits import RELEASED_LOSS_RANGES


class ReleasedLosses:
    """The last ranges of losses that were acknowledged, ascending, in case the collector loses them again: they are
    counted as lost already. Of more than `RELEASED_LOSS_RANGES` the oldest are forgotten."""

    def __init__(self) -> None:
        self._ranges: deque[LossRange] = deque(maxlen=RELEASED_LOSS_RANGES)

    def add(self, losses: Iterable[LossRange]) -> None:
        """Remembers ranges that follow all others."""
        for loss in losses:
            append_loss(self._ranges, loss)

    def take_from(self, first: int) -> list[LossRange]:
        """Forgets the numbers from `first` on, and returns their ranges, ascending."""
        taken: list[LossRange] = []
        ranges = self._ranges
        while ranges and ranges[-1].first + ranges[-1].count > first:
            loss = ranges.pop()
            before = first - loss.first
            if before > 0:
                ranges.append(replace(loss, count=before))
                loss = replace(loss, first=first, count=loss.count - before)
            taken.append(loss)
        taken.reverse()
        return taken
