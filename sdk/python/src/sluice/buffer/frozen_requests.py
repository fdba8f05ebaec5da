"""Requests that are frozen and not acknowledged, and what became of the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sluice.buffer.changing import Changing
from sluice.buffer.frozen_request import freeze_lost
from sluice.buffer.loss import LOSS_REASONS, LossRange, LossReason, count_lost
from sluice.buffer.released_losses import ReleasedLosses
from sluice.clock import Clock
from sluice.delivery.source import FrozenRequest, Rewind


class FrozenRequests:
    """Frozen requests never change; they are only released from the front, or replaced by losses.

    Every change is made `with self.changing`, so that others can read the counters together.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.changing = Changing()
        self.dropped: dict[LossReason, int] = dict.fromkeys(LOSS_REASONS, 0)
        self.acknowledged = 0
        #: Events that are not acknowledged, wherever they are.
        self.buffered_events = 0
        #: Bytes in memory.
        self.buffered_bytes = 0
        #: The oldest first.
        self.frozen: deque[FrozenRequest] = deque()
        self._released_losses = ReleasedLosses()

    def release(self, durable: int) -> bool:
        """Lets go of everything up to a number that the collector has on its disk. Says whether that was any."""
        frozen = self.frozen
        has_released = False
        with self.changing:
            while frozen and frozen[0].last <= durable and self.may_be_stored(frozen[0]):
                request = frozen.popleft()
                self.acknowledged += request.events
                if request.losses:
                    self._released_losses.add(request.losses)
                self.forget(request)
                has_released = True
        return has_released

    def refuse_oldest(self) -> None:
        """Replaces the oldest frozen request by losses of the same numbers."""
        with self.changing:
            if self.frozen:
                self._replace_oldest(self.frozen[0].first)

    def rewind(self, expected: int) -> Rewind:
        """Goes on from where the collector wants to."""
        if not self.frozen or expected < 1:
            return "nonsense"
        with self.changing:
            oldest = self.frozen[0].first
            if expected < oldest:
                # It acknowledged these once and does not have them any more; nor do we.
                # Those of them that were losses are counted already, and keep their reasons.
                known = self._released_losses.take_from(expected)
                lost_before = sum(loss.count for loss in known)
                taken_back = min(oldest - expected - lost_before, self.acknowledged)
                self.acknowledged -= taken_back
                self.dropped["refused"] += taken_back
                self.insert_lost(0, expected, oldest - 1, known, "refused")
                return "repaired"
            self.release(expected - 1)
            if not self.frozen or self.frozen[0].first >= expected:
                return "resend"
            # It has a part of a request, which its own rules forbid. The rest cannot be cut out byte for byte.
            self._replace_oldest(expected)
            return "repaired"

    def may_be_stored(self, request: FrozenRequest) -> bool:
        """What was never sent cannot be on the collector's disk, whatever it says; unless somebody else sent it."""
        return request.sends > 0

    def hold(self, index: int, request: FrozenRequest) -> None:
        """Puts a request at a place in `frozen`."""
        self.frozen.insert(index, request)
        self.buffered_bytes += len(request.data)

    def forget(self, request: FrozenRequest) -> None:
        """It is out of `frozen`, or about to be."""
        self.buffered_events -= request.events
        self.buffered_bytes -= len(request.data)

    def insert_lost(
        self, index: int, first: int, last: int, known: Iterable[LossRange], reason: LossReason
    ) -> None:
        """Puts losses at a place in `frozen`: all numbers of the range, those of known losses with their own
        reasons."""
        requests = freeze_lost(first, last, known, reason, self.clock.wall_ns())
        for offset, request in enumerate(requests):
            self.hold(index + offset, request)

    def _replace_oldest(self, first: int) -> None:
        request = self.frozen.popleft()
        lost = request.last - first + 1 - count_lost(request.losses, first, request.last)
        self.forget(request)
        self.acknowledged += request.events - lost
        self._released_losses.add(loss for loss in request.losses if loss.first < first)
        self._released_losses.take_from(first)
        self.dropped["refused"] += lost
        self.insert_lost(0, first, request.last, request.losses, "refused")
