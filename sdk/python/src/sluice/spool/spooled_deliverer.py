from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sluice.delivery.deliverer import Answer
from sluice.delivery.delivery import Delivery, Waiter
from sluice.delivery.loop import Timer
from sluice.delivery.source import DeliveryCounts
from sluice.delivery.thread import DeliveryThread
from sluice.limits import IDLE_LOOK_MS, SPOOL_CLOSE_MS, SPOOL_CLOSE_RESERVE_MS, THREAD_STOP_MS

from .spooled_buffer import SpooledBuffer
from .writer import SpoolWriter

_Result = TypeVar("_Result")


class SpooledDeliverer:
    """A deliverer that has everything written to the spool as well, as soon as it is due; without a delivery behind it,
    it is the offline mode. Implements `Deliverer`.

    Invariants:
    1. A draft is frozen when it is full or old enough, whether or not the collector answers, as long as the disk keeps
       up; else it stays a draft, from which lesser events can still be dropped.
    2. The buffer belongs to the delivery's thread and the files to the disk's; whoever waits for one of them has a
       deadline.
    """

    def __init__(
        self,
        *,
        inner: Delivery | None,
        buffer: SpooledBuffer,
        spool: SpoolWriter,
        thread: DeliveryThread,
        disk: DeliveryThread,
        request_age_ms: int,
    ) -> None:
        """`inner`: absent offline."""
        self._inner = inner
        self._counts = DeliveryCounts() if inner is None else inner.counts
        self._buffer = buffer
        self._spool = spool
        self._thread = thread
        self._disk = disk
        self._request_age_ms = request_age_ms
        self._timer: Timer | None = None
        self._timer_due_ms = 0.0
        self._active_ms = 0.0
        self._is_watching = False
        self._is_look_posted = False
        self._is_stopped = False
        if inner is not None:
            thread.pause = inner.interrupt
            thread.resume = inner.resume

    @property
    def counts(self) -> DeliveryCounts:
        return self._counts

    def notice_open(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            self._buffer.set_watched(True)
            self._thread.post(self._watch)
            # Now, because while the process ends it may be too late to make a thread.
            self._disk.start()
        if self._inner is not None:
            self._inner.notice_open()

    def notice_sealed(self) -> None:
        if not self._is_look_posted:
            self._is_look_posted = True
            self._thread.post(self._look)
        if self._inner is not None:
            self._inner.notice_sealed()

    def wait_for(self, target: int, timeout_s: float) -> bool:
        if self._thread.is_current:
            return False
        deadline_s = time.monotonic() + timeout_s
        answer = Answer()
        waiter = Waiter(target, answer.give)
        self._thread.post(lambda: self._begin(waiter))
        if not self._thread.can_run:
            return False
        try:
            is_acknowledged = answer.wait(timeout_s, lambda: self._thread.can_run)
        finally:
            if self._inner is not None:
                inner = self._inner
                self._thread.post(lambda: inner.forget(waiter))
        if self._inner is None and self._spool.settle(target, deadline_s - time.monotonic()):
            self._sync(deadline_s)
        return is_acknowledged and self._inner is not None

    def marked(self, timeout_s: float) -> None:
        if self._inner is None or self._thread.is_current:
            return
        inner, answer = self._inner, Answer()
        waiter = Waiter(0, answer.give)
        self._thread.post(lambda: inner.wait_for_mark(waiter))
        try:
            answer.wait(timeout_s)
        finally:
            self._thread.post(lambda: inner.forget(waiter))

    def stop(self, timeout_s: float) -> None:
        self._thread.post(self._stop)
        self._thread.stop(timeout_s)

    def notice_idle(self) -> None:
        """The spool has nothing left to write, or there is room again. On the disk's thread."""
        self._thread.post(self._look)

    def finish(self) -> None:
        """Brings everything that is not acknowledged to the disk, as far as it can be, and counts the rest as lost,
        there too if possible. A disk that fails is tried again until the time is over. Nothing goes on afterwards."""
        deadline_s = time.monotonic() + SPOOL_CLOSE_MS / 1000
        reserve_s = SPOOL_CLOSE_RESERVE_MS / 1000
        buffer, spool = self._buffer, self._spool

        def left_s() -> float:
            return max(0.0, deadline_s - time.monotonic())

        def freeze_all() -> int:
            buffer.freeze_all()
            return buffer.logged

        self._thread.post(self._stop)
        logged = self._call(self._thread, freeze_all, left_s())
        if logged is not None:
            spool.hurry()
            # A disk that has no room for the events may have some for what says that they are lost.
            if not spool.settle(logged, left_s() - 2 * reserve_s):
                self._call(
                    self._thread,
                    lambda: spool.append_beyond_limit(buffer.lose_rest(spool.take_unwritten())),
                    left_s(),
                )
                spool.settle(logged, left_s() - reserve_s)
            self._sync(deadline_s)
        # Behind everything that the disk has told so far.
        self._thread.post(buffer.close)
        self._thread.stop(THREAD_STOP_MS / 1000)
        self._disk.post(spool.release)
        self._disk.stop(left_s())

    def release(self) -> None:
        """Everything is acknowledged: nothing is left behind but perhaps an empty folder, which goes."""
        self._thread.post(self._stop)
        self._thread.post(self._buffer.close)
        self._thread.stop(THREAD_STOP_MS / 1000)
        self._disk.post(self._spool.release)
        self._disk.stop(SPOOL_CLOSE_MS / 1000)

    def _begin(self, waiter: Waiter) -> None:
        self._buffer.freeze_all()
        if self._inner is not None:
            self._inner.wait_for(waiter)
        else:
            waiter.done(True)

    def _stop(self) -> None:
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._inner is not None:
            self._inner.stop()

    def _look(self) -> None:
        self._is_look_posted = False
        if not self._is_stopped:
            self._buffer.gather()
            self._freeze_due()

    def _freeze_due(self) -> None:
        has_frozen = False
        while self._spool.is_ready and self._buffer.freeze(self._is_open_draft_due()):
            has_frozen = True
        self._watch()
        # A draft that the disk does not take is the collector's to take.
        if self._inner is not None and (has_frozen or not self._spool.is_ready):
            self._inner.notice_sealed()

    def _is_open_draft_due(self) -> bool:
        opened_s = self._buffer.opened_s
        # Half a millisecond, because a timer may fire that much early.
        return opened_s is not None and self._thread.now_ms() - opened_s * 1000 >= self._request_age_ms - 0.5

    def _watch(self) -> None:
        if self._is_stopped:
            return
        self._buffer.gather()
        now_ms = self._thread.now_ms()
        opened_s = self._buffer.opened_s
        if opened_s is not None:
            self._active_ms = now_ms
            delay_ms = max(0.0, self._request_age_ms - (now_ms - opened_s * 1000))
            if delay_ms == 0.0 and not self._spool.is_ready:
                # A disk that is not ready comes back by `notice_idle`; what is logged meanwhile is still gathered.
                delay_ms = max(1.0, float(self._request_age_ms))
        elif now_ms - self._active_ms < IDLE_LOOK_MS:
            # A job that logs now and then should not have to wake this thread each time.
            delay_ms = max(1.0, float(self._request_age_ms))
        else:
            self._is_watching = False
            self._buffer.set_watched(False)
            # In this order: whoever logs before this line is seen here, and who logs after it sees the line above.
            self._buffer.gather()
            if self._buffer.opened_s is None:
                return
            delay_ms = 0.0
        self._is_watching = True
        self._buffer.set_watched(True)
        self._freeze_in(delay_ms)

    def _freeze_in(self, delay_ms: float) -> None:
        due_ms = self._thread.now_ms() + delay_ms
        if self._timer is not None:
            if self._timer_due_ms <= due_ms:
                return
            self._timer.cancel()
        self._timer_due_ms = due_ms
        self._timer = self._thread.call_later(delay_ms, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._look()

    def _sync(self, deadline_s: float) -> None:
        """Brings what is written to the disk itself, so that it survives a power loss too; not beyond the time."""

        def sync() -> None:
            try:
                self._spool.sync()
            except OSError:
                pass  # A disk that cannot sync has said so when it was written to, or the page cache has to do.

        self._call(self._disk, sync, max(0.0, deadline_s - time.monotonic()))

    def _call(self, thread: DeliveryThread, run: Callable[[], _Result], timeout_s: float) -> _Result | None:
        """Runs something on a thread and waits for it; None if it does not come to an end in time."""
        answer = Answer()
        results: list[_Result] = []

        def call() -> None:
            try:
                results.append(run())
            finally:
                answer.give(True)

        thread.post(call)
        if thread.can_run:
            answer.wait(timeout_s)
        return results[0] if results else None
