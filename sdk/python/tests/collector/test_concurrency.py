"""Threads, coroutines, and log calls from where nobody expects them."""

from __future__ import annotations

from tests.collector.conftest import Run


def test_a_hundred_threads_log_and_each_keeps_its_order(run: Run) -> None:
    run.do(
        """
import threading
def work(thread):
    for step in range(300):
        log.event("threads", step=step, thread=thread)
threads = [threading.Thread(target=work, args=(thread,)) for thread in range(100)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert log.close(timeout=60).acknowledged
stats = log.stats()
assert stats.logged == stats.acknowledged == 30_000, stats
"""
    )
    run.stored(30_000)
    (order,) = run.store.rows(
        f"""SELECT count() AS threads, countIf(steps = range(300)) AS in_order FROM
        (SELECT arrayMap(p -> toUInt16(p.2), arraySort(groupArray((sequence, step)))) AS steps
         FROM events WHERE run_id = '{run.name}' GROUP BY metrics['thread'])"""
    )
    assert order == {"threads": 100, "in_order": 100}


def test_coroutines_log_without_blocking_their_loop(run: Run) -> None:
    run.do(
        """
import asyncio
async def work(task):
    for step in range(20):
        log.event("tasks", step=step, task=task)
        await asyncio.sleep(0)
async def main():
    await asyncio.gather(*(work(task) for task in range(500)))
    loop = asyncio.get_running_loop()
    assert (await loop.run_in_executor(None, log.close)).acknowledged
asyncio.run(main())
"""
    )
    run.stored(10_000)


def test_a_signal_handler_may_log_in_the_middle_of_a_log_call(run: Run) -> None:
    finished = run.do(
        """
import signal
handled = 0
def handler(number, frame):
    global handled
    handled += 1
    log.event("handler", step=handled, text="t" * 500)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for step in range(100_000):
    log.event("main", step=step, text="t" * (step % 300))
signal.setitimer(signal.ITIMER_REAL, 0)
result = log.close(timeout=60)
assert result.acknowledged, result
print(handled)
"""
    )
    handled = int(finished.out)
    assert handled > 10
    run.stored(100_000 + handled)


def test_finalizers_and_text_methods_may_log_too(run: Run) -> None:
    finished = run.do(
        """
import gc
class Logs:
    def __init__(self): self.me = self
    def __del__(self): log.event("finalizer")
class Text:
    def __str__(self):
        log.event("inner")
        return "text"
for step in range(500):
    Logs()
    log.event("outer", step=step, value=Text())
    if step % 100 == 0: gc.collect()
gc.collect()
assert log.close(timeout=60).acknowledged
print(log.stats().acknowledged)
"""
    )
    counted = run.stored(int(finished.out))
    names = {row["name"]: row["n"] for row in run.rows("name, count() AS n", "GROUP BY name")}
    assert names["finalizer"] == 500
    assert names["outer"] == 500
    # An event that is logged while another one's values are read is either stored or lost with a reason.
    assert names.get("inner", 0) + counted.lost >= 500
