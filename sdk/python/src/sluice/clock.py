"""Time: the system's clocks behind one small interface, and the time of events."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """So that tests can hold time in their hands."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; jumps when somebody sets the clock."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that only go forward."""


class SystemClock:
    """The clocks of this machine."""

    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


SYSTEM_CLOCK: Clock = SystemClock()

#: How far the estimate may be from the wall clock before it is corrected.
_TOLERANCE_NS = 2_000_000
_CHECK_EVERY_NS = 1_000_000_000
#: A wall clock that was set back by more than this is followed, not waited for.
_HOLD_BACK_NS = 1_000_000_000


class EventClock:
    """Turns readings of the monotonic clock into the time of events: nanoseconds since 1970, which only go forward
    while the wall clock is not set back by more than a second. A log call reads the monotonic clock alone; the rest
    happens when its event is gathered. One thread at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ns: int | None = None
        self._checked_ns = 0
        self._last_ns = 0

    def times(self, readings: list[int]) -> list[int]:
        """The times of events whose readings are given in the order of the events."""
        if not readings:
            return []
        offset = self._offset(readings[-1])
        times = [reading + offset for reading in readings]
        last = self._last_ns
        if times[0] <= last < times[0] + _HOLD_BACK_NS:
            for index, each in enumerate(times):
                if each > last:
                    break
                last += 1
                times[index] = last
        self._last_ns = times[-1]
        return times

    def _offset(self, monotonic_ns: int) -> int:
        offset = self._offset_ns
        if offset is not None and abs(monotonic_ns - self._checked_ns) < _CHECK_EVERY_NS:
            return offset
        # Both now: the reading may be a second old.
        now_ns = self._clock.monotonic_ns()
        wall_ns = self._clock.wall_ns()
        self._checked_ns = now_ns
        if offset is None or abs(now_ns + offset - wall_ns) > _TOLERANCE_NS:
            self._offset_ns = offset = wall_ns - now_ns
        return offset
