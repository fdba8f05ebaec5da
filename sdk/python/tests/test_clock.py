"""The time of events."""

from __future__ import annotations

from sluice.clock import EventClock

MS = 1_000_000
S = 1_000_000_000


class SteppedClock:
    """A wall clock that can be set apart from the monotonic one."""

    def __init__(self) -> None:
        self.now_ns = 5 * S
        self.wall_offset_ns = 1_700_000_000 * S

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + self.wall_offset_ns


def test_times_are_those_of_the_wall_clock_and_go_forward() -> None:
    clock = SteppedClock()
    events = EventClock(clock)
    last = 0
    for index in range(1000):
        # Mostly within one reading of the clock.
        clock.now_ns += 300 if index % 10 == 0 else 0
        (now,) = events.times([clock.now_ns])
        assert now > last
        assert abs(now - clock.wall_ns()) < 1000
        last = now


def test_events_that_are_gathered_late_have_the_time_at_which_they_were_logged() -> None:
    clock = SteppedClock()
    events = EventClock(clock)
    readings = [clock.now_ns + step * 10 * MS for step in range(100)]
    expected = [clock.wall_offset_ns + reading for reading in readings]
    clock.now_ns += 2 * S
    assert events.times(readings) == expected


def test_a_wall_clock_that_is_corrected_by_a_little_is_followed_without_going_back() -> None:
    clock = SteppedClock()
    events = EventClock(clock)
    (before,) = events.times([clock.now_ns])
    clock.wall_offset_ns -= 500 * MS
    clock.now_ns += 300 * MS
    (within,) = events.times([clock.now_ns])
    clock.now_ns += 800 * MS
    (after,) = events.times([clock.now_ns])
    assert before < within < after
    clock.now_ns += 1000 * MS
    assert events.times([clock.now_ns]) == [clock.wall_ns()]


def test_a_wall_clock_that_is_set_by_hours_is_followed_within_a_second() -> None:
    clock = SteppedClock()
    events = EventClock(clock)
    events.times([clock.now_ns])
    for step_s in (3600, -7200):
        clock.wall_offset_ns += step_s * S
        clock.now_ns += 1001 * MS
        assert events.times([clock.now_ns]) == [clock.wall_ns()]


def test_no_events_have_no_times() -> None:
    assert EventClock(SteppedClock()).times([]) == []
