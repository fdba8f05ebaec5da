"""A delivery's loop whose time is the test's, in one thread."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable

from sluice.delivery.loop import Timer

#: When a test's time begins, by the wall clock.
START_MS = 1_700_000_000_000


class FakeLoop:
    """Implements `Loop`, and `Clock` beside it."""

    def __init__(self, start_ms: float = START_MS) -> None:
        #: Of both clocks; `wall_offset_ms` is how far the wall clock was set since.
        self.time_ms = start_ms
        self.wall_offset_ms = 0.0
        self._posted: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def now_ms(self) -> float:
        return self.time_ms

    def wall_ns(self) -> int:
        return int((self.time_ms + self.wall_offset_ms) * 1e6)

    def monotonic_ns(self) -> int:
        return int(self.time_ms * 1e6)

    def call_later(self, delay_ms: float, run: Callable[[], None]) -> Timer:
        timer = Timer(run)
        heapq.heappush(self._timers, (self.time_ms + max(0.0, delay_ms), next(self._order), timer))
        return timer

    def post(self, run: Callable[[], None]) -> None:
        self._posted.append(run)

    @property
    def timers(self) -> int:
        """Those that were not cancelled."""
        return sum(not timer.is_cancelled for _, _, timer in self._timers)

    def run_posted(self) -> None:
        """What a thread would do at once."""
        while self._posted:
            self._posted.popleft()()

    def advance(self, for_ms: float) -> None:
        """Lets time pass; everything that is due happens in its turn."""
        end_ms = self.time_ms + for_ms
        self.run_posted()
        while self._timers and self._timers[0][0] <= end_ms:
            due_ms, _, timer = heapq.heappop(self._timers)
            if not timer.is_cancelled:
                self.time_ms = max(self.time_ms, due_ms)
                timer.run()
                self.run_posted()
        self.time_ms = end_ms
