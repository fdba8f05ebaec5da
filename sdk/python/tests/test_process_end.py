"""How a program ends, and what of its events arrives. Each program is a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from .support.collector_process import CollectorProcess, environment, run_python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes of POSIX")

INIT = """
import os, sys, time
import sluice
log = sluice.init(endpoint=os.environ["ENDPOINT"], run="end", exit_timeout_ms=int(os.environ.get("EXIT_MS", 20000)))
"""


def run(code: str, collector: CollectorProcess) -> subprocess.CompletedProcess[str]:
    return run_python(INIT + code, ENDPOINT=collector.endpoint)


def stored(collector: CollectorProcess) -> list[dict[str, Any]]:
    """What each producer has stored."""
    return list(collector.stop()["producers"].values())


def names(collector: CollectorProcess) -> Counter[str]:
    return Counter(event["name"] for producer in stored(collector) for event in producer["events"])


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit(0)",
        "raise SystemExit(0)",
        "import atexit; atexit.register(lambda: log.event('late'))",
        "exit()",
    ],
)
def test_a_program_that_just_ends_delivers_everything(end: str) -> None:
    with CollectorProcess() as collector:
        done = run(f"for i in range(1000): log.event('e', step=i)\n{end}", collector)
        assert (done.returncode, done.stderr) == (0, "")
        found = names(collector)
        assert found["e"] == 1000
        assert found["late"] == ("late" in end)


def test_a_program_with_two_loggers_delivers_for_both() -> None:
    with CollectorProcess() as collector:
        done = run(
            "log.event('a'); b = sluice.init(endpoint=os.environ['ENDPOINT']); b.event('b')", collector
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector) == {"a": 1, "b": 1}


def test_threads_that_outlive_the_main_thread_are_waited_for() -> None:
    code = """
import threading
def work():
    time.sleep(0.3)
    log.event("from a thread")
threading.Thread(target=work).start()
log.event("from main")
"""
    with CollectorProcess() as collector:
        done = run(code, collector)
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector) == {"from a thread": 1, "from main": 1}


def test_a_daemon_thread_that_logs_while_the_interpreter_ends_does_no_harm() -> None:
    code = """
import threading
def work():
    while True:
        log.event("tick", a=1.0)
        time.sleep(0.0001)
threading.Thread(target=work, daemon=True).start()
while log.stats().logged <= 100: time.sleep(0.01)
"""
    with CollectorProcess() as collector:
        done = run(code, collector)
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector)["tick"] > 100


def test_an_unhandled_exception_is_logged_with_its_traceback_and_still_printed() -> None:
    code = """
previous = sys.excepthook
def train():
    raise RuntimeError("CUDA out of memory")
log.event("before")
train()
"""
    with CollectorProcess() as collector:
        done = run(code, collector)
        assert done.returncode == 1
        assert done.stderr.rstrip().endswith("RuntimeError: CUDA out of memory")
        (producer,) = stored(collector)
        before, last = producer["events"]
        assert (before["name"], last["name"]) == ("before", "exception")
        assert last["body"] == "RuntimeError: CUDA out of memory"
        assert last["severity_number"] == 21
        assert last["attributes"]["exception.type"] == "RuntimeError"
        assert last["attributes"]["exception.stacktrace"].startswith("Traceback (most recent call last):")
        assert "in train" in last["attributes"]["exception.stacktrace"]


def test_an_unhandled_exception_of_a_thread_is_logged_and_still_printed() -> None:
    code = """
import threading
def work():
    raise ValueError("in a thread")
def leave():
    raise SystemExit
for target in (work, leave):
    thread = threading.Thread(target=target, name="worker")
    thread.start()
    thread.join()
"""
    with CollectorProcess() as collector:
        done = run(code, collector)
        assert done.returncode == 0
        assert "ValueError: in a thread" in done.stderr
        (producer,) = stored(collector)
        (event,) = producer["events"]
        assert (event["name"], event["body"]) == ("exception", "ValueError: in a thread")
        assert event["attributes"]["thread"] == "worker"


def test_hooks_that_were_there_before_still_run() -> None:
    code = """
import os, sys, threading
import sluice
sys.excepthook = lambda *args: print("main hook", args[0].__name__)
threading.excepthook = lambda args: print("thread hook", args.exc_type.__name__)
log = sluice.init(endpoint=os.environ["ENDPOINT"])
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise KeyError
"""
    with CollectorProcess() as collector:
        done = run_python(code, ENDPOINT=collector.endpoint)
        assert done.stdout.split("\n")[:2] == ["thread hook ZeroDivisionError", "main hook KeyError"]
        assert names(collector) == {"exception": 2}


SLEEP = """
log.event("e")
print("ready", flush=True)
time.sleep(60)
"""


def signalled(code: str, collector: CollectorProcess, number: int) -> tuple[int, str, str]:
    """Sends a signal to a program that says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", INIT + code],
        env=environment(ENDPOINT=collector.endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_sigterm_delivers_what_is_left_and_ends_the_process_as_ever() -> None:
    with CollectorProcess() as collector:
        assert signalled(SLEEP, collector, signal.SIGTERM) == (-signal.SIGTERM, "", "")
        assert names(collector) == {"e": 1}


def test_a_program_with_a_handler_of_its_own_keeps_it() -> None:
    code = """
import signal
def handler(number, frame):
    log.event("handled")
    sys.exit(3)
signal.signal(signal.SIGTERM, handler)
again = sluice.init(endpoint=os.environ["ENDPOINT"])
assert signal.getsignal(signal.SIGTERM) is handler
"""
    with CollectorProcess() as collector:
        assert signalled(code + SLEEP, collector, signal.SIGTERM) == (3, "", "")
        assert names(collector) == {"e": 1, "handled": 1}


def test_a_program_that_ignores_sigterm_goes_on() -> None:
    code = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
import sluice
log = sluice.init(endpoint=os.environ["ENDPOINT"])
os.kill(os.getpid(), signal.SIGTERM)
log.event("after")
"""
    with CollectorProcess() as collector:
        done = run_python(code, ENDPOINT=collector.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector) == {"after": 1}


def test_sigterm_in_the_middle_of_logging_loses_nothing_that_was_logged() -> None:
    code = """
i = 0
while True:
    i += 1
    log.event("e", step=i, text="x" * 100)
    if i % 100 == 0: log.stats()
    if i == 1000: print("ready", flush=True)
"""
    with CollectorProcess() as collector:
        assert signalled(code, collector, signal.SIGTERM) == (-signal.SIGTERM, "", "")
        (producer,) = stored(collector)
        steps = [event["step"] for event in producer["events"]]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= 1000


def test_sigterm_while_flush_waits_ends_the_process() -> None:
    code = """
log.event("e")
log.flush(20)
print("ready", flush=True)
while True:
    log.event("again")
    log.flush(20)
"""
    with CollectorProcess() as collector:
        returncode, _, err = signalled(code, collector, signal.SIGTERM)
        assert (returncode, err) == (-signal.SIGTERM, "")


def test_ctrl_c_is_an_unhandled_exception_like_any_other() -> None:
    with CollectorProcess() as collector:
        # Tests that run in the background of a shell begin with it ignored.
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)" + SLEEP
        returncode, _, err = signalled(code, collector, signal.SIGINT)
        assert returncode == -signal.SIGINT
        assert err.rstrip().endswith("KeyboardInterrupt")
        assert names(collector) == {"e": 1, "exception": 1}


def test_a_program_whose_collector_is_down_ends_at_its_deadline_and_says_what_was_left() -> None:
    done = run_python(INIT + "log.event('a'); log.event('b')", ENDPOINT="127.0.0.1:1", EXIT_MS="200")
    assert done.returncode == 0
    assert (
        "sluice: undelivered: 2 events of run end were not acknowledged when the process ended" in done.stderr
    )


def test_a_program_that_closes_its_standard_error_ends_without_a_sound() -> None:
    code = INIT + "log.event('a')\nsys.stderr.close()"
    done = run_python(code, ENDPOINT="127.0.0.1:1", EXIT_MS="50")
    assert done.returncode == 0
    done = run_python(INIT + "log.event('a')\nos.close(2)", ENDPOINT="127.0.0.1:1", EXIT_MS="50")
    assert done.returncode == 0


FORKS = """
import os, sys, threading, time
import sluice
log = sluice.init(endpoint=os.environ["ENDPOINT"], run="forks", job="train")
stopping = threading.Event()
def work():
    while not stopping.is_set():
        log.event("parent", a=1.0)
        log.info("parent", text="x" * 100)
        time.sleep(0.0002)
workers = [threading.Thread(target=work) for _ in range(2)]
for worker in workers: worker.start()
parent = log.producer_id
failed = 0
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
for number in range(30):
    pid = os.fork()
    if pid == 0:
        ok = log.producer_id != parent and log.stats().logged == 0
        for step in range(100): sluice.event("child", step=step, number=number)
        ok = log.close(30).acknowledged and ok
        os._exit(0 if ok else 3)
    failed += os.waitpid(pid, 0)[1] != 0
stopping.set()
for worker in workers: worker.join()
assert log.producer_id == parent
assert log.close(30).acknowledged
print(failed, log.stats().logged)
"""


def test_children_that_are_forked_while_threads_log_are_producers_of_their_own() -> None:
    with CollectorProcess() as collector:
        done = run_python(FORKS, ENDPOINT=collector.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        failed, logged = done.stdout.split()
        assert failed == "0"
        producers = stored(collector)
        assert len(producers) == 31
        by_name = Counter(
            tuple(Counter(event["name"] for event in producer["events"]).items()) for producer in producers
        )
        assert by_name.pop((("child", 100),)) == 30
        (parent,) = by_name
        assert sum(count for _, count in parent) == int(logged)
        assert {name for name, _ in parent} == {"parent", "log"}


MULTIPROCESSING = """
import multiprocessing, os, sys
import sluice

def work(number, log):
    for step in range(50):
        (log if number % 2 else sluice).event("worker", step=step, number=number)

def main():
    log = sluice.init(endpoint=os.environ["ENDPOINT"], run="workers")
    log.event("main")
    context = multiprocessing.get_context(sys.argv[1])
    workers = [context.Process(target=work, args=(number, log)) for number in range(4)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    sys.exit(any(worker.exitcode for worker in workers))

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_deliver_what_they_logged_without_a_word(
    method: str, tmp_path: Any
) -> None:
    program = tmp_path / "program.py"
    program.write_text(MULTIPROCESSING)
    with CollectorProcess() as collector:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", str(program), method],
            env=environment(ENDPOINT=collector.endpoint),
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert (done.returncode, done.stderr) == (0, "")
        producers = stored(collector)
        assert sorted(len(producer["events"]) for producer in producers) == [1, 50, 50, 50, 50]
        assert {producer["run_id"] for producer in producers if "run_id" in producer} <= {"workers"}


def test_a_child_that_only_forks_and_ends_delivers_nothing_of_the_parent() -> None:
    code = """
import warnings
# Of Python 3.12 and later, which counts the thread that goes on in the parent.
warnings.simplefilter("ignore", DeprecationWarning)
log.event("parent")
pid = os.fork()
if pid == 0:
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
log.event("parent")
"""
    with CollectorProcess() as collector:
        done = run(code, collector)
        assert (done.returncode, done.stderr) == (0, "")
        (producer,) = stored(collector)
        assert [event["name"] for event in producer["events"]] == ["parent", "parent"]


def test_a_fork_in_a_signal_handler_of_a_log_call_leaves_both_able_to_log() -> None:
    code = """
import signal
children = []
def handler(number, frame):
    # Not again before this one is done.
    signal.setitimer(signal.ITIMER_REAL, 0)
    pid = os.fork()
    if pid == 0:
        log.event("child")
        os._exit(0 if log.close(30).acknowledged else 3)
    children.append(pid)
    signal.setitimer(signal.ITIMER_REAL, 0.013)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.01)
steps = 0
while len(children) < 8:
    steps += 1
    log.event("main", step=steps, text="x" * 100)
signal.setitimer(signal.ITIMER_REAL, 0)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
print(steps)
"""
    with CollectorProcess() as collector:
        done = run("import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + code, collector)
        assert (done.returncode, done.stderr) == (0, "")
        found = names(collector)
        assert found == {"main": int(done.stdout), "child": 8}


def test_the_variables_of_this_process_are_left_alone() -> None:
    assert "SLUICE_ENDPOINT" not in environment()
    assert os.environ is not environment()


def test_the_workers_of_a_pool_which_are_ended_by_sigterm_while_they_close_deliver_everything() -> None:
    code = """
import multiprocessing
def work(x):
    sluice.event("pool", x=x)
    return x
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert sum(pool.map(work, range(300))) == 44850
"""
    with CollectorProcess() as collector:
        done = run(code, collector)
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector) == {"pool": 300}


# A signal that comes just before the main thread waits does not wake it; so does one that another thread gets.
UNSEEN = """
import multiprocessing, signal, threading
fork = multiprocessing.get_context("fork")
def unseen():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
def end_of(work):
    process = fork.Process(target=work)
    process.start()
    process.join(60)
    code = process.exitcode
    process.kill()
    return code
"""


@pytest.mark.parametrize("logged", [0, 1])
def test_sigterm_that_does_not_wake_a_process_of_multiprocessing_ends_it_all_the_same(logged: int) -> None:
    code = f"""
def work():
    for _ in range({logged}): log.event("e")
    threading.Thread(target=unseen).start()
    lock = fork.Lock()
    lock.acquire()
    lock.acquire()
sys.exit(end_of(work) != -signal.SIGTERM)
"""
    with CollectorProcess() as collector:
        done = run(UNSEEN + code, collector)
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector)["e"] == logged


BEFORE_IT_BEGINS = """
import os, signal, sys
# On the same core as its parent, and not pushing in, a child begins when its parent waits.
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
def end_child():
    with open("/proc/thread-self/children") as file:
        os.kill(int(file.read().split()[-1]), signal.SIGTERM)
# Before anything else that follows a fork.
os.register_at_fork(after_in_parent=end_child)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when a child begins, and who it is")
def test_sigterm_that_comes_before_a_child_begins_ends_it_all_the_same() -> None:
    code = """
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        time.sleep(2)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == signal.SIGTERM
assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
"""
    with CollectorProcess() as collector:
        done = run_python(BEFORE_IT_BEGINS + INIT + code, ENDPOINT=collector.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector) == {}


def test_sigterm_in_the_middle_of_a_fork_delivers_what_is_left() -> None:
    # After everything else that comes before a fork, so that the SDK's threads are gone.
    first = "import os, signal\nos.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGTERM))"
    code = """
log.event("e")
log.flush(20)
log.event("e")
if os.fork() == 0:
    os._exit(0)
"""
    with CollectorProcess() as collector:
        # Its deadline is later than the end of the test's patience: it does not wait for it.
        done = run_python(first + INIT + code, ENDPOINT=collector.endpoint, EXIT_MS="60000", timeout_s=50)
        assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
        assert names(collector) == {"e": 2}


def test_a_handler_that_a_process_of_multiprocessing_sets_later_gets_each_signal_once() -> None:
    code = """
def work():
    calls = []
    log.event("e")
    signal.signal(signal.SIGTERM, lambda *_: calls.append(1))
    threading.Thread(target=unseen).start()
    while not calls: time.sleep(0.01)
    time.sleep(1)
    os._exit(len(calls) + (10 if log.close(20).acknowledged else 20))
sys.exit(end_of(work) != 11)
"""
    with CollectorProcess() as collector:
        done = run(UNSEEN + code, collector)
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector) == {"e": 1}


def test_a_process_of_multiprocessing_whose_threads_fork_at_once_is_watched_by_one_thread_afterwards() -> (
    None
):
    code = """
import warnings
def forks():
    for _ in range(20):
        pid = os.fork()
        if pid == 0: os._exit(0)
        os.waitpid(pid, 0)
def work():
    warnings.simplefilter("ignore", DeprecationWarning)
    threads = [threading.Thread(target=forks) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    if [thread.name for thread in threading.enumerate()].count("sluice-signals") != 1: os._exit(3)
    threading.Thread(target=unseen).start()
    fork.Event().wait()
sys.exit(end_of(work) != -signal.SIGTERM)
"""
    with CollectorProcess() as collector:
        done = run(UNSEEN + code, collector)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_process_of_multiprocessing_that_handles_sigterm_and_then_hands_it_back_lives_on() -> None:
    code = """
def work():
    calls = []
    ours = signal.signal(signal.SIGTERM, lambda *_: calls.append(1))
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, ours)
    time.sleep(0.6)
    assert calls == [1]
    # The next one is the SDK's.
    threading.Thread(target=unseen).start()
    fork.Event().wait()
begun_s = time.monotonic()
ended = end_of(work)
sys.exit(ended != -signal.SIGTERM or time.monotonic() - begun_s < 0.9)
"""
    with CollectorProcess() as collector:
        done = run(UNSEEN + code, collector)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_process_of_multiprocessing_that_closes_all_descriptors_keeps_those_it_opens_then() -> None:
    code = """
import warnings
def work():
    warnings.simplefilter("ignore", DeprecationWarning)
    os.closerange(3, 64)
    opened = [os.open("/dev/null", os.O_RDWR) for _ in range(60)]
    spent_s = time.process_time()
    time.sleep(0.5)
    if time.process_time() - spent_s > 0.2: os._exit(3)
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            for number in opened: os.fstat(number)
            os._exit(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        if os.waitpid(pid, 0)[1] != 0: os._exit(4)
    for number in opened: os.fstat(number)
    os._exit(0)
sys.exit(end_of(work))
"""
    with CollectorProcess() as collector:
        done = run(UNSEEN + code, collector)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_child_of_a_process_that_has_closed_all_descriptors_is_ended_by_sigterm() -> None:
    code = """
import warnings
def work():
    warnings.simplefilter("ignore", DeprecationWarning)
    os.closerange(3, 64)
    pid = os.fork()
    if pid == 0:
        os._exit(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    os._exit(os.waitpid(pid, 0)[1] != 0)
sys.exit(end_of(work))
"""
    with CollectorProcess() as collector:
        done = run(UNSEEN + code, collector)
        assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_while_a_child_begins_leaves_it_to_be_ended_by_sigterm() -> None:
    code = """
import ctypes, functools, os, signal, sys, time, warnings
import sluice
warnings.simplefilter("ignore", DeprecationWarning)
signal.signal(signal.SIGINT, signal.default_int_handler)
# The very next step of Python is the SDK's.
os.register_at_fork(after_in_child=functools.partial(getattr(ctypes.CDLL(None), "raise"), signal.SIGINT))
log = sluice.init(endpoint=os.environ["ENDPOINT"])
pid = os.fork()
if pid == 0:
    os._exit(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
sys.exit(os.waitpid(pid, 0)[1] != 0)
"""
    with CollectorProcess() as collector:
        done = run_python(code, ENDPOINT=collector.endpoint)
        assert done.returncode == 0
        assert "KeyboardInterrupt" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a thread holds back")
def test_the_threads_that_a_child_begins_with_hold_back_no_signal(tmp_path: Any) -> None:
    code = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
log = sluice.init(endpoint=os.environ["ENDPOINT"], spool_dir=sys.argv[1])
log.event("e")
def blocked(thread):
    with open(f"/proc/self/task/{thread}/status") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith("SigBlk"))
pid = os.fork()
if pid == 0:
    time.sleep(0.3)
    held = 1 << (15 - 1)
    os._exit(any(blocked(thread) & held for thread in os.listdir("/proc/self/task")))
sys.exit(os.waitpid(pid, 0)[1] != 0)
"""
    with CollectorProcess() as collector:
        done = run_python(INIT + code, str(tmp_path), ENDPOINT=collector.endpoint)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_process_of_multiprocessing_forks_without_a_thread_of_the_sdk() -> None:
    code = """
import warnings
def work():
    warnings.simplefilter("error")
    log.event("parent")
    for _ in range(10):
        pid = os.fork()
        if pid == 0:
            wakes = signal.set_wakeup_fd(-1) != -1
            os._exit(threading.active_count() - 1 + wakes)
        assert os.waitpid(pid, 0)[1] == 0
    # The parent is woken as before.
    threading.Thread(target=unseen).start()
    fork.Event().wait()
sys.exit(end_of(work) != -signal.SIGTERM)
"""
    with CollectorProcess() as collector:
        done = run(UNSEEN + code, collector)
        assert (done.returncode, done.stderr) == (0, "")
        assert names(collector) == {"parent": 1}


def test_sigterm_during_a_close_lets_it_come_to_its_end_and_says_what_is_left() -> None:
    code = """
import signal, threading
log = sluice.init(endpoint="127.0.0.1:9", run="end")
log.event("e")
main = threading.get_ident()
def codes():
    frame = sys._current_frames()[main]
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back
def end():
    while type(log).close.__code__ not in codes(): time.sleep(0.01)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end).start()
log.close(2)
print("not reached")
"""
    with CollectorProcess() as collector:
        done = run(code, collector)
        assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")
        assert "1 events of run end were not acknowledged when the logger was closed after 2 s" in done.stderr


@pytest.mark.parametrize("meanwhile", ["os.fork() or os._exit(0)", "other.close(0)"])
def test_no_other_thread_cuts_short_a_close_that_sigterm_came_into(meanwhile: str) -> None:
    code = f"""
import signal, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
log.close()
log = sluice.init(endpoint="127.0.0.1:9", run="end", exit_timeout_ms=100)
other = sluice.init(endpoint="127.0.0.1:9", exit_timeout_ms=100)
log.event("e")
main = threading.get_ident()
def codes():
    frame = sys._current_frames()[main]
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back
def end():
    while type(log).close.__code__ not in codes(): time.sleep(0.01)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.3)
    {meanwhile}
threading.Thread(target=end).start()
log.close(3)
print("not reached")
"""
    done = run_python(INIT + code, ENDPOINT="127.0.0.1:9")
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")
    assert "1 events of run end were not acknowledged when the logger was closed after 3 s" in done.stderr


def test_a_program_ends_though_nobody_reads_what_is_said_on_stderr() -> None:
    code = """
log.close()
os.set_blocking(2, False)
try:
    while True:
        os.write(2, b"x")
except BlockingIOError:
    os.set_blocking(2, True)
log.event("late")
# So long that it is being said.
time.sleep(0.5)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", INIT + code],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # Without a buffer there would be no lock.
        env=environment(ENDPOINT="127.0.0.1:9", PYTHONUNBUFFERED=""),
    )
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
