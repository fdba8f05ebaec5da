"""A job in Python that does nothing but log, and fork: loggers of the real SDK at a given rate.

Served to the suite: see ProducerCalls in faults/src/processes/protocol.ts.

A fork is made by the thread that logs, while others flush and send, so at any moment of theirs. The child goes on with
the loggers that it has inherited, each of which is another producer there; it logs for a while, and then either
delivers what it logged and ends, or kills itself.
"""

from __future__ import annotations

import ctypes
import os
import random
import re
import signal
import sys
import threading
import time
from typing import Any

#: The wall clock's distance from the machine's. Before `sluice` is imported, whatever that keeps of `time`.
clock_offset_ns = int(float(os.environ.get("FAULTS_CLOCK_OFFSET_MS", "0")) * 1e6)
machine_time_ns = time.time_ns
time.time_ns = lambda: machine_time_ns() + clock_offset_ns
time.time = lambda: time.time_ns() / 1e9

from channel import notify, serve  # noqa: E402
from formula import Key  # noqa: E402
from pump import Load, Pump  # noqa: E402

#: The longest and the shortest life of a fork.
FORK_LIFE_S = (0.02, 0.5)
#: How many forks live at once.
FORKS = 3
#: Of them, how many kill themselves, whatever they had not delivered.
KILLED_SHARE = 0.5
FORK_FINISH_S = 60.0

pumps: list[Pump] = []
settings: dict[str, Any] = {}
load: Load | None = None
stopping = threading.Event()
logging_thread: threading.Thread | None = None
forks: set[int] = set()


def snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def start(given: dict[str, Any]) -> list[dict[str, Any]]:
    global load
    settings.update(given)
    random.seed(given["seed"])
    shared = {name: given[name] for name in ("endpoint", "project", "run", "job", "host", "attempt")}
    options = {**{snake_case(name): value for name, value in given["sdk"].items()}, **shared}
    for index in range(given["loggers"]):
        key = Key(given["firstRank"] + index, given["padBytes"], given["lossEvery"], given["isPlain"])
        pumps.append(Pump(key, options))
    load = Load(pumps, given["eventsPerSecond"], given["holdBytes"])
    return [pump.report for pump in pumps]


def flush_loops() -> None:
    for pump in pumps:
        most_s = settings["flushEveryMs"] / 1000
        threading.Thread(target=pump.flush_loop, args=(most_s,), daemon=True).start()


def go(_: Any) -> None:
    global logging_thread
    flush_loops()
    logging_thread = threading.Thread(target=log_and_fork, daemon=True)
    logging_thread.start()


def log_and_fork() -> None:
    assert load is not None
    fork_every_s = settings.get("forkEveryMs", 0) / 1000
    next_fork_s = time.monotonic() + random.random() * fork_every_s
    while not stopping.is_set():
        load.turn()
        reap()
        if fork_every_s > 0 and time.monotonic() >= next_fork_s:
            next_fork_s = time.monotonic() + 2 * random.random() * fork_every_s
            if len(forks) < FORKS:
                fork()


def fork() -> None:
    pid = os.fork()
    if pid != 0:
        forks.add(pid)
        return
    try:
        live_as_a_fork()
    except BaseException as error:
        # Its end must not be that of the parent's thread, which it has a copy of.
        sys.stderr.write(f"a fork of the producer failed: {error!r}\n")
        os._exit(1)
    os._exit(0)


def live_as_a_fork() -> None:
    assert load is not None
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    random.seed(os.getpid())
    for pump in pumps:
        pump.begin_anew()
    # On the books before its first event.
    notify({"born": [pump.report for pump in pumps]})
    flush_loops()
    until_s = time.monotonic() + random.uniform(*FORK_LIFE_S)
    while time.monotonic() < until_s:
        load.turn()
    if random.random() < KILLED_SHARE:
        os.kill(os.getpid(), signal.SIGKILL)
    for pump in pumps:
        notify({"final": pump.finish(FORK_FINISH_S)})


def reap(flags: int = os.WNOHANG) -> None:
    for pid in list(forks):
        ended, status = os.waitpid(pid, flags)
        if ended == 0:
            continue
        forks.discard(pid)
        if status not in (0, signal.SIGKILL):
            notify({"violation": f"a fork of a producer ended with wait status {status}"})


def set_rate(options: dict[str, Any]) -> None:
    assert load is not None
    load.events_per_s = options["eventsPerSecond"]


def totals(_: Any) -> dict[str, Any]:
    stats = [pump.logger.stats() for pump in pumps]
    return {
        "logged": sum(each.logged for each in stats),
        "dropped": sum(sum(each.dropped.values()) for each in stats),
        "lastError": next((each.last_error for each in stats if each.last_error is not None), None),
    }


def set_clock(options: dict[str, Any]) -> None:
    global clock_offset_ns
    clock_offset_ns = int(options["offsetMs"] * 1e6)


def finish(options: dict[str, Any]) -> list[dict[str, Any]]:
    end(None)
    reap(0)
    return [pump.finish(options["timeoutMs"] / 1000) for pump in pumps]


def end(_: Any) -> None:
    stopping.set()
    if logging_thread is not None:
        logging_thread.join()


serve(
    {
        "start": start,
        "go": go,
        "setRate": set_rate,
        "totals": totals,
        "setClock": set_clock,
        "finish": finish,
        "end": end,
    }
)
