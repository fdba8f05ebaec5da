"""The thread that runs a delivery: whose turn it is, and how it begins and ends."""

from __future__ import annotations

import threading
import time

from sluice.delivery.thread import DeliveryThread

from .support.collector_process import run_python
from .support.plain_source import wait_until


def make() -> tuple[DeliveryThread, list[BaseException]]:
    bugs: list[BaseException] = []
    return DeliveryThread("test-loop", report_bug=bugs.append), bugs


def test_what_is_posted_runs_in_order_on_one_thread_and_starts_it() -> None:
    loop, _ = make()
    ran: list[tuple[int, int]] = []
    for number in range(100):
        loop.post(lambda number=number: ran.append((number, threading.get_ident())))  # type: ignore[misc]
    loop.stop(20)
    assert [number for number, _ in ran] == list(range(100))
    assert len({thread for _, thread in ran}) == 1


def test_timers_fire_though_something_is_posted_all_the_while() -> None:
    loop, _ = make()
    fired = threading.Event()

    def flood() -> None:
        if not fired.is_set():
            loop.post(flood)

    def arrange() -> None:
        loop.call_later(10, fired.set)

    loop.post(arrange)
    loop.post(flood)
    assert fired.wait(20)
    loop.stop(20)


def test_what_is_posted_runs_though_a_timer_is_due_all_the_while() -> None:
    loop, _ = make()
    ran = threading.Event()

    def again() -> None:
        if not ran.is_set():
            loop.call_later(0, again)

    loop.post(again)
    loop.post(ran.set)
    assert ran.wait(20)
    loop.stop(20)


def test_a_timer_that_is_cancelled_at_the_last_moment_does_not_fire() -> None:
    loop, _ = make()
    fired: list[str] = []

    def begin() -> None:
        # First, so that it is due before the other however long this takes; then both are.
        loop.call_later(0, lambda: second.cancel())
        second = loop.call_later(1, lambda: fired.append("second"))
        time.sleep(0.01)
        loop.call_later(50, lambda: fired.append("third"))

    loop.post(begin)
    wait_until(lambda: fired == ["third"])
    loop.stop(20)


def test_a_fault_is_reported_and_the_thread_goes_on() -> None:
    loop, bugs = make()

    def fails() -> None:
        raise ZeroDivisionError

    loop.post(fails)
    ran = threading.Event()
    loop.post(ran.set)
    assert ran.wait(20)
    loop.stop(20)
    assert [type(bug) for bug in bugs] == [ZeroDivisionError]


def test_stop_runs_what_was_posted_before_and_may_come_again_from_anywhere() -> None:
    loop, _ = make()
    ran: list[int] = []

    def end() -> None:
        loop.post(lambda: ran.append(1))
        loop.stop(20)

    loop.post(end)
    wait_until(lambda: not loop.can_run)
    loop.stop(20)
    loop.stop(20)
    assert ran == [1]
    loop.post(lambda: ran.append(2))
    assert not loop.can_run
    never_started, _ = make()
    never_started.stop(20)
    assert not never_started.can_run


def test_a_system_without_more_threads_is_not_the_callers_trouble() -> None:
    code = """
import threading
from sluice.delivery.thread import DeliveryThread
start = threading.Thread.start
def none(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = none
loop = DeliveryThread("loop", report_bug=print)
ran = threading.Event()
loop.post(lambda: None)
assert not loop.can_run
threading.Thread.start = start
loop.post(ran.set)
assert ran.wait(20)
"""
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_never_stops_it_ends_all_the_same() -> None:
    code = """
import time
from sluice.delivery.thread import DeliveryThread
loop = DeliveryThread("loop", report_bug=print)
loop.post(lambda: loop.call_later(3_600_000, print) and None)
time.sleep(0.05)
"""
    done = run_python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
