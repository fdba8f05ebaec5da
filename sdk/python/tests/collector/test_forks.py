"""Processes that are made by fork, spawn and forkserver, at any moment."""

from __future__ import annotations

import pytest

from tests.collector.conftest import Run

#: As torch's DataLoader has them: processes of multiprocessing, each with a queue of its own, and one back.
LOADER = """
import multiprocessing, os, sys
sys.path.insert(0, {folder!r})
from workers import load

if __name__ == "__main__":
    import sluice
    log = sluice.init()
    context = multiprocessing.get_context({method!r})
    for step in range(50):
        log.event("before", step=step)
    asked, loaded = [context.Queue() for _ in range(8)], context.Queue()
    workers = [context.Process(target=load, args=(worker, asked[worker], loaded), daemon=True) for worker in range(8)]
    for worker in workers: worker.start()
    for step in range(400): asked[step % 8].put(step)
    for step in range(400):
        loaded.get(timeout=60)
        log.event("train.step", step=step)
    for each in asked: each.put(None)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0, worker.exitcode
    assert log.close(timeout=60).acknowledged
"""

WORKERS = """
import sluice
def load(worker, asked, loaded):
    if sluice.default_logger() is None:
        sluice.init()
    while (step := asked.get()) is not None:
        sluice.event("data.load", step=step, worker=worker)
        loaded.put(step)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_eight_data_loading_processes_are_eight_producers(
    run: Run, method: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("loader")
    (folder / "workers.py").write_text(WORKERS)
    script = folder / "job.py"
    script.write_text(LOADER.format(folder=str(folder), method=method))
    finished = run.finish(run.script(script))
    assert (finished.code, finished.err) == (0, "")
    run.stored(50 + 400 + 400)
    producers = {
        row["n"]: row["p"] for row in run.rows("name AS n, uniqExact(producer_id) AS p", "GROUP BY name")
    }
    assert producers == {"before": 1, "train.step": 1, "data.load": 8}
    twice = run.rows("step", "AND name = 'data.load' GROUP BY step HAVING count() != 1")
    assert twice == []


def test_forks_while_other_threads_log_and_flush_leave_parent_and_children_complete(run: Run) -> None:
    """The forks meet every state of the SDK's threads: no lock that a thread of the parent holds may stop a child."""
    finished = run.do(
        """
import faulthandler, os, sys, threading, time
stopping = threading.Event()
def work(thread):
    step = 0
    while not stopping.is_set():
        log.event("parent", step=step, thread=thread, text="t" * (step % 400))
        step += 1
        if step % 20 == 0: time.sleep(0.001)
    logged.append(step)
def flush():
    while not stopping.is_set():
        log.flush(timeout=5)
logged = []
threads = [threading.Thread(target=work, args=(thread,), daemon=True) for thread in range(4)]
threads += [threading.Thread(target=flush, daemon=True) for _ in range(2)]
for thread in threads: thread.start()
for fork in range(60):
    time.sleep(0.001 * (fork % 9))
    pid = os.fork()
    if pid == 0:
        for step in range(30):
            log.event("child", step=step, fork=fork)
        faulthandler.dump_traceback_later(25)
        if log.flush(timeout=30).acknowledged:
            os._exit(0)
        print(log.stats(), file=sys.stderr, flush=True)
        os._exit(3)
    status = os.waitpid(pid, 0)[1]
    assert status == 0, (fork, status)
stopping.set()
for thread in threads: thread.join()
assert log.close(timeout=60).acknowledged
print(sum(logged))
"""
    )
    assert finished.err == ""
    parents = int(finished.out)
    counted = run.stored(parents + 60 * 30)
    assert counted.producers == 61
    mixed = run.rows("producer_id", "GROUP BY producer_id HAVING uniqExact(name) > 1")
    assert mixed == []


def test_a_fork_while_every_lock_of_the_sdk_is_held_goes_on_in_the_child(run: Run) -> None:
    """Held by a thread that does not exist in the child: all locks that the logger and its parts have."""
    finished = run.do(
        """
import gc, os, threading
log.event("parent")
log.flush(timeout=30)
kinds = (type(threading.Lock()), type(threading.RLock()), threading.Condition)
def locks():
    # Of all objects that can be reached from the logger by way of the SDK's own.
    found, seen, queue = [], set(), [log]
    while queue:
        each = queue.pop()
        if id(each) in seen: continue
        seen.add(id(each))
        if isinstance(each, kinds): found.append(each)
        elif isinstance(each, (list, tuple)): queue += each
        elif isinstance(each, dict): queue += each.values()
        elif hasattr(each, "__self__"): queue.append(each.__self__)
        elif type(each).__module__.startswith("sluice") or type(each).__module__ == "threading":
            slots = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
            queue += [getattr(each, name, None) for name in slots]
            queue += getattr(each, "__dict__", {}).values()
    return found
held, ready, done = [], threading.Event(), threading.Event()
def hold():
    for lock in locks():
        if lock.acquire(blocking=False): held.append(lock)
    ready.set()
    done.wait()
    for lock in held: lock.release()
holder = threading.Thread(target=hold)
holder.start()
ready.wait()
pid = os.fork()
if pid == 0:
    log.event("child")
    os._exit(0 if log.flush(timeout=30).acknowledged else 3)
status = os.waitpid(pid, 0)[1]
done.set()
holder.join()
print(len(held), status)
log.event("parent")
assert log.close(timeout=30).acknowledged
"""
    )
    held, status = finished.out.split()
    assert int(held) > 0
    assert status == "0"
    counted = run.stored(3)
    assert counted.producers == 2


def test_a_child_that_never_logs_leaves_no_trace_and_ends_at_once(run: Run) -> None:
    finished = run.do(
        """
import os, subprocess, sys
log.event("parent")
pids = []
for fork in range(5):
    pid = os.fork()
    if pid == 0:
        sys.exit(fork)
    pids.append(pid)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
subprocess.run([sys.executable, "-c", "pass"], check=True)
assert log.close(timeout=30).acknowledged
"""
    )
    assert (finished.out.strip(), finished.err) == ("[0, 1, 2, 3, 4]", "")
    counted = run.stored(1)
    assert counted.producers == 1
    (known,) = run.store.rows(
        f"SELECT uniqExact(producer_id) AS n FROM producers WHERE run_id = '{run.name}'"
    )
    assert known == {"n": 1}


def test_what_a_pool_of_processes_logs_is_there_when_the_pool_is_closed(run: Run) -> None:
    run.do(
        """
import multiprocessing
def square(number):
    log.event("square", step=number, value=number * number)
    return number * number
with multiprocessing.get_context("fork").Pool(4) as pool:
    assert pool.map(square, range(200)) == [number * number for number in range(200)]
    pool.close()
    pool.join()
log.close(timeout=30)
"""
    )
    run.stored(200)


def test_a_process_that_is_spawned_takes_a_logger_as_an_argument(
    run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    script = tmp_path_factory.mktemp("spawned") / "job.py"
    script.write_text(
        """
import multiprocessing
import sluice
def work(log, worker):
    log.event("worker", step=worker)
if __name__ == "__main__":
    log = sluice.init(job="spawned")
    workers = [multiprocessing.get_context("spawn").Process(target=work, args=(log, worker)) for worker in range(3)]
    for worker in workers: worker.start()
    for worker in workers: worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    log.event("parent")
    log.close(timeout=30)
"""
    )
    finished = run.finish(run.script(script))
    assert (finished.code, finished.err) == (0, "")
    counted = run.stored(4)
    assert counted.producers == 4
    assert run.rows("DISTINCT job") == [{"job": "spawned"}]
