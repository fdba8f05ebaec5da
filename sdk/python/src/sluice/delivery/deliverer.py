from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .delivery import Delivery, Waiter
from .source import DeliveryCounts
from .thread import DeliveryThread

#: How often whoever waits for an answer looks whether one can still come.
_LOOK_S = 1.0


class ThreadedDeliverer:
    """A delivery on a thread of its own. Implements `Deliverer`."""

    def __init__(self, delivery: Delivery, thread: DeliveryThread) -> None:
        self._delivery = delivery
        self._thread = thread
        thread.pause = delivery.interrupt
        thread.resume = delivery.resume
        # Bound once, for the log call.
        self.notice_open = delivery.notice_open
        self.notice_sealed = delivery.notice_sealed

    @property
    def counts(self) -> DeliveryCounts:
        return self._delivery.counts

    def wait_for(self, target: int, timeout_s: float) -> bool:
        return self._wait(self._delivery.wait_for, target, timeout_s)

    def marked(self, timeout_s: float) -> None:
        self._wait(self._delivery.wait_for_mark, 0, timeout_s)

    def stop(self, timeout_s: float) -> None:
        self._thread.post(self._delivery.stop)
        self._thread.stop(timeout_s)

    def _wait(self, begin: Callable[[Waiter], None], target: int, timeout_s: float) -> bool:
        if self._thread.is_current:
            # From within a callback that the delivery itself has called: it cannot go on until that returns.
            return False
        answer = Answer()
        waiter = Waiter(target, answer.give)
        self._thread.post(lambda: begin(waiter))
        if not self._thread.can_run:
            return False
        try:
            return answer.wait(timeout_s, lambda: self._thread.can_run)
        finally:
            self._thread.post(lambda: self._delivery.forget(waiter))


class Answer:
    """One answer that one thread waits for and another gives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._value = False

    def give(self, value: bool) -> None:
        self._value = value
        try:
            self._lock.release()
        except RuntimeError:
            pass  # It was given before.

    def wait(self, timeout_s: float, is_to_come: Callable[[], bool] = lambda: True) -> bool:
        """The answer; False if none comes in time, or `is_to_come` says that none will."""
        deadline_s = time.monotonic() + max(0.0, timeout_s)
        while True:
            left_s = deadline_s - time.monotonic()
            if self._lock.acquire(timeout=max(0.0, min(left_s, _LOOK_S))):
                return self._value
            if left_s <= _LOOK_S or not is_to_come():
                return False
