"""A job in Python that logs at a realistic pace and takes the time of each log call.

Served to the bench (log-call-python.ts): see `LogCallPythonCalls` in bench/src/processes/protocol.ts.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from serve import own_usage, serve
from subjects import SUBJECTS, Subject

#: A burst, then a pause of at least a millisecond: up to 20,000 events/s, so that seals and sends come between.
CALLS_PER_BURST = 20
PAUSE_S = 0.001
#: Not recorded: until caches are warm and connections are made.
WARMUP_CALLS = 2_000
#: What may be unacknowledged while the sustained rate is measured, so that nothing is dropped.
HELD_BYTES = 24 * 1024 * 1024
FILL_BURST = 500

subject: Subject = SUBJECTS["nothing"]("", "", Path())
steps = 0


def values(step: int) -> tuple[int, float, float, float, int, float]:
    """Five fields that do not repeat, as a training step has them."""
    return (
        step,
        10.0 / (1 + step * 1e-3) + step % 7 * 1e-4,
        0.5 + step % 11 / 7,
        3e-4 / (1 + step),
        524_288 + step,
        0.01,
    )


def percentiles(samples: array[int]) -> dict[str, float]:
    ordered = np.sort(np.frombuffer(samples, dtype=np.int64))
    if len(ordered) == 0:
        return {"samples": 0, "p50": 0, "p99": 0, "p999": 0, "max": 0}

    def at(share: float) -> int:
        # The nearest rank, so that each is a value that was measured.
        return int(ordered[max(1, int(np.ceil(share * len(ordered)))) - 1])

    return {"samples": len(ordered), "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": at(1.0)}


def paced(calls: int, burst: int = CALLS_PER_BURST) -> None:
    global steps
    log = subject.log
    for begun in range(0, calls, burst):
        for _ in range(min(burst, calls - begun)):
            steps += 1
            log(*values(steps))
        time.sleep(PAUSE_S)


def start(options: dict[str, Any]) -> None:
    global subject
    directory = Path(options["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    subject = SUBJECTS[options["subject"]](options["endpoint"], options["run"], directory)
    paced(WARMUP_CALLS)


def timed(options: dict[str, Any]) -> dict[str, Any]:
    global steps
    calls: int = options["calls"]
    until_s = time.monotonic() + options["mostSeconds"]
    before = subject.counts()
    log = subject.log
    clock = time.perf_counter_ns
    samples: array[int] = array("q")
    while len(samples) < calls and time.monotonic() < until_s:
        for _ in range(min(CALLS_PER_BURST, calls - len(samples))):
            steps += 1
            step, loss, norm, lr, tokens, step_s = values(steps)
            began = clock()
            log(step, loss, norm, lr, tokens, step_s)
            samples.append(clock() - began)
        time.sleep(PAUSE_S)
    after = subject.counts()
    return {"ns": percentiles(samples), **difference(before, after)}


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    if not after:
        return {"dropped": None, "acknowledged": None, "calls": None, "bufferedBytes": None}
    counted = {name: after[name] - before[name] for name in ("dropped", "acknowledged")}
    return {**counted, "calls": after["calls"], "bufferedBytes": after["bufferedBytes"]}


def fill(options: dict[str, Any]) -> dict[str, bool]:
    until_s = time.monotonic() + options["mostSeconds"]
    while subject.counts()["dropped"] == 0:
        if time.monotonic() > until_s:
            return {"full": False}
        paced(FILL_BURST, FILL_BURST)
    return {"full": True}


def sustain(options: dict[str, Any]) -> dict[str, Any]:
    """Logs as fast as events are acknowledged, then waits for the last acknowledgment."""
    global steps
    before = subject.counts()
    cpu_before_us = own_usage()["cpuUs"]
    began_s = time.monotonic()
    until_s = began_s + options["seconds"]
    logged = 0
    log = subject.log
    while time.monotonic() < until_s:
        # Made before, as a job has its figures anyway; what that takes is part of the time all the same.
        made = [values(step) for step in range(steps + 1, steps + 1001)]
        steps += 1000
        for each in made:
            log(*each)
        logged += 1000
        while subject.counts()["bufferedBytes"] > HELD_BYTES:
            time.sleep(0.002)
    logged_s = time.monotonic() - began_s
    delivered = subject.flush(60)
    after = subject.counts()
    return {
        "events": logged,
        "loggedSeconds": logged_s,
        "acknowledgedSeconds": time.monotonic() - began_s,
        "acknowledged": after["acknowledged"],
        "dropped": after["dropped"] - before["dropped"],
        "delivered": delivered,
        "cpuUs": own_usage()["cpuUs"] - cpu_before_us,
    }


class NumpyStep:
    """Forward, backward and update of a small network: most of it outside the GIL, as a training step is."""

    def __init__(self, width: int) -> None:
        generator = np.random.default_rng(0)
        self._data = generator.standard_normal((width, width), dtype=np.float32)
        self._weights = [generator.standard_normal((width, width), dtype=np.float32) / 16 for _ in range(3)]

    def __call__(self) -> float:
        layers = [self._data]
        for weights in self._weights:
            layers.append(np.tanh(layers[-1] @ weights))
        slope = layers[-1] / layers[-1].size
        for weights, below, above in zip(reversed(self._weights), layers[-2::-1], layers[:0:-1]):
            slope = slope * (1 - above * above)
            gradient = below.T @ slope
            slope = slope @ weights.T
            weights -= 0.01 * gradient
        return float(np.mean(layers[-1] ** 2))


class PythonStep:
    """A step that is Python alone, and so holds the GIL throughout: the worst neighbour for a thread that sends."""

    def __call__(self) -> float:
        total = 0.0
        for each in range(25_000):
            total += each * each % 7
        return total


#: About 10, 3 and 2 ms.
STEPS: dict[str, Callable[[], Callable[[], float]]] = {
    "numpy": lambda: NumpyStep(400),
    "numpy_short": lambda: NumpyStep(256),
    "python": PythonStep,
}


def step_rate(options: dict[str, Any]) -> dict[str, Any]:
    """
    Steps with one event each against steps without, in turns of a fraction of a second, so that whatever else the
    machine does meets both. The order within a pair changes from pair to pair.
    """
    global steps
    step = STEPS[options["step"]]()
    log = subject.log
    seconds: float = options["turnSeconds"]
    for _ in range(20):
        step()

    def turn(with_event: bool) -> float:
        """Seconds a step."""
        global steps
        done = 0
        began_s = time.perf_counter()
        while True:
            loss = step()
            if with_event:
                steps += 1
                log(steps, loss, 0.5, 3e-4, 524_288, 0.01)
            done += 1
            took_s = time.perf_counter() - began_s
            if took_s >= seconds:
                return took_s / done

    pairs: list[tuple[float, float]] = []
    for pair in range(options["pairs"]):
        first_with = pair % 2 == 0
        first, second = turn(first_with), turn(not first_with)
        pairs.append((first, second) if first_with else (second, first))
    ratios = np.sort([with_event / without for with_event, without in pairs])
    return {
        "stepMs": float(np.median([without for _, without in pairs])) * 1000,
        # Of the time a step; the median of the pairs, and where half of them lie.
        "slowdown": float(np.median(ratios)) - 1,
        "slowdownFrom": float(np.quantile(ratios, 0.25)) - 1,
        "slowdownTo": float(np.quantile(ratios, 0.75)) - 1,
        "pairs": len(pairs),
    }


def clock(options: dict[str, Any]) -> dict[str, Any]:
    """Two readings of the clock with nothing between them."""
    read = time.perf_counter_ns
    samples: array[int] = array("q")
    for _ in range(options["calls"]):
        began = read()
        samples.append(read() - began)
    return {"ns": percentiles(samples)}


serve(
    {
        "start": start,
        "time": timed,
        "fill": fill,
        "sustain": sustain,
        "stepRate": step_rate,
        "clock": clock,
        "flush": lambda _: {"acknowledged": subject.flush(60)},
        "usage": lambda _: own_usage(),
        "stop": lambda _: subject.close(),
    }
)
