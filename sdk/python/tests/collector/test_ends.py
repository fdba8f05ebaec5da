"""The end of a program, however it comes."""

from __future__ import annotations

import signal

from tests.collector.conftest import Run
from tests.support.processes import until


def test_a_program_that_just_ends_has_delivered_everything(run: Run) -> None:
    finished = run.do("for step in range(1000): log.event('step', step=step)")
    assert finished.err == ""
    run.stored(1000)


def test_sys_exit_keeps_its_status_and_delivers(run: Run) -> None:
    finished = run.finish(run.job("import sys\nlog.event('last')\nsys.exit(7)"))
    assert (finished.code, finished.err) == (7, "")
    run.stored(1)


def test_an_unhandled_exception_is_an_event_with_its_traceback(run: Run) -> None:
    finished = run.finish(
        run.job(
            """
log.event("before", step=1)
def forward():
    raise ValueError("loss is not finite")
forward()
"""
        )
    )
    assert finished.code == 1
    assert "ValueError: loss is not finite" in finished.err
    run.stored(2)
    (row,) = run.rows("severity_number, body, attributes", "AND name = 'exception'")
    assert row["severity_number"] >= 17
    text = str(row)
    assert "ValueError" in text
    assert "loss is not finite" in text
    assert "in forward" in text


def test_an_unhandled_exception_of_a_thread_is_an_event_and_the_program_s_hooks_still_run(run: Run) -> None:
    finished = run.do(
        """
def work():
    raise KeyError("shard")
thread = threading.Thread(target=work, name="loader")
thread.start()
thread.join()
""",
        before="""
import threading
threading.excepthook = lambda args: print("hook of the program:", args.exc_type.__name__)
""",
    )
    assert finished.out == "hook of the program: KeyError\n"
    run.stored(1)
    (row,) = run.rows("attributes", "AND name = 'exception'")
    assert "KeyError" in str(row["attributes"])


def test_sigterm_delivers_and_then_ends_the_process_as_sigterm_does(run: Run) -> None:
    job = run.job(
        "import time\nfor step in range(500): log.event('step', step=step)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    assert job.stdout is not None
    assert job.stdout.readline() == "ready\n"
    job.send_signal(signal.SIGTERM)
    finished = run.finish(job)
    assert (finished.code, finished.err) == (-signal.SIGTERM, "")
    run.stored(500)


def test_a_handler_that_the_program_has_for_sigterm_is_the_only_one(run: Run) -> None:
    job = run.job(
        """
import signal, sys, time
def handler(number, frame):
    log.event("checkpoint")
    sys.exit(9)
signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
time.sleep(60)
"""
    )
    assert job.stdout is not None
    assert job.stdout.readline() == "ready\n"
    job.send_signal(signal.SIGTERM)
    finished = run.finish(job)
    assert (finished.code, finished.err) == (9, "")
    run.stored(1)


def test_ctrl_c_delivers_what_was_logged_and_is_logged_itself(run: Run) -> None:
    # Tests that run in the background of a shell begin with it ignored.
    as_in_a_terminal = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    job = run.job(
        "import time\nlog.event('step')\nprint('ready', flush=True)\ntime.sleep(60)", before=as_in_a_terminal
    )
    assert job.stdout is not None
    assert job.stdout.readline() == "ready\n"
    job.send_signal(signal.SIGINT)
    finished = run.finish(job)
    assert finished.code != 0
    assert "KeyboardInterrupt" in finished.err
    run.stored(2)
    assert {row["name"] for row in run.rows("name")} == {"step", "exception"}


def test_a_daemon_thread_that_logs_while_the_interpreter_goes_down_does_no_harm(run: Run) -> None:
    for _ in range(5):
        finished = run.do(
            """
import threading
def work():
    while True: log.event("daemon", text="t" * 50)
for _ in range(3): threading.Thread(target=work, daemon=True).start()
import time; time.sleep(0.05)
"""
        )
        # A full buffer, and what was left, may be said; nothing else.
        assert all(line.startswith("sluice: ") for line in finished.err.splitlines()), finished.err
    # Each once, and no hole.
    run.settled()


def test_what_atexit_functions_and_other_threads_log_is_delivered(run: Run) -> None:
    finished = run.do(
        """
import atexit, threading, time
atexit.register(lambda: log.event("atexit"))
def work():
    time.sleep(0.3)
    log.event("thread")
threading.Thread(target=work).start()
log.event("main")
"""
    )
    assert finished.err == ""
    run.stored(3)


def test_os_exit_loses_what_was_not_flushed_and_nothing_else(run: Run) -> None:
    run.do(
        """
import os
for step in range(100): log.event("flushed", step=step)
assert log.flush(timeout=30).acknowledged
for step in range(100): log.event("not flushed", step=step)
os._exit(0)
"""
    )
    # What is acknowledged shows a moment later. The numbers of a producer show in order.
    until(run.counted, lambda now: now.events >= 100)
    run.settled()
    assert len(run.rows("step", "AND name = 'flushed'")) == 100
