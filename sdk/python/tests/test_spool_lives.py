"""Lives of a job, one after the other and side by side, on one spool directory: random logs against a collector that
fails at random, and every life ends in a kill, in os._exit or in a close. In the end everything that was acknowledged
or in the spool at some moment of its life must be at the collector, once, and in order."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice._generated import collector_pb2 as pb
from sluice.spool.sync import sync_spool

from .support.collector_model import UNAVAILABLE, RefusedCall, overloaded
from .support.collector_process import environment
from .support.fake_collector import FakeCollector

SEEDS = [int(os.environ["SLUICE_SEED"])] if "SLUICE_SEED" in os.environ else [1, 2, 3]
LIVES = 5

JOB = """
import os, random, sys, time, sluice
endpoint, folder, seed, end = sys.argv[1:]
rng = random.Random(seed)
log = sluice.init(
    run="job", endpoint=endpoint, spool_dir=folder, on_diagnostic=lambda diagnostic: None,
    buffer_bytes=64 * 1024 * rng.randint(1, 3), request_bytes=1024 + rng.randrange(8192),
    call_bytes=1024 + rng.randrange(32_768), spool_bytes=1024 * 1024 * rng.choice([1, 100]), request_age_ms=20,
    ack_timeout_ms=500, backoff_min_ms=5, backoff_max_ms=100, close_timeout_ms=200,
    mode="offline" if rng.random() < 0.15 else "online", encoding=rng.choice(["blocks", "rows"]),
)
sequence = 0
def tell():
    stats = log.stats()
    sys.stdout.write(f'{log.producer_id.replace("-", "")} {stats.acknowledged + stats.spooled_events}\\n')
    sys.stdout.flush()
tell()
for turn in range(40):
    for _ in range(rng.choice([1, 5, 40, 600])):
        sequence += 1
        log.event("e", step=sequence, text="x" * rng.randrange(200), severity=rng.choice([5, 9, 9, 13, 17]))
    if rng.random() < 0.1:
        log.flush(timeout=0.1)
    time.sleep(rng.random() * 0.03)
    tell()
if end == "close":
    log.close()
    tell()
os._exit(0)
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_ends_a_job_what_it_spooled_arrives_once(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    is_faulty = True
    fault_rate = (0.0, 0.1, 0.4)[seed % 3]

    def before_message(data: bytes) -> None:
        if is_faulty and rng.random() < fault_rate:
            raise overloaded(30) if rng.random() < 0.3 else RefusedCall(UNAVAILABLE, "broken")

    def on_end(response: pb.LogResponse) -> pb.LogResponse:
        if is_faulty and rng.random() < fault_rate:
            raise RefusedCall(UNAVAILABLE, "answer lost")
        return response

    lives: list[tuple[str, str, int]] = []
    with FakeCollector() as server:
        server.model.before_message = before_message
        server.on_end = on_end
        waiting: list[tuple[str, subprocess.Popen[str]]] = []
        for life in range(LIVES):
            end = rng.choice(["kill", "exit", "close"])
            endpoint = server.endpoint if rng.random() < 0.7 else "127.0.0.1:1"
            arguments = [sys.executable, "-c", JOB, endpoint, str(tmp_path), f"{seed} {life}", end]
            job = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment())
            if end == "kill":
                time.sleep(0.3 + rng.random())
                job.kill()
            waiting.append((end, job))
            if len(waiting) > 1 or rng.random() < 0.5:
                lives.append(told(*waiting.pop(0)))
        lives.extend(told(*each) for each in waiting)
        is_faulty = False
        result = sync_spool(tmp_path, endpoint=server.endpoint)
        assert result.is_complete, result
        assert list(tmp_path.iterdir()) == []
        for producer_id, end, safe in lives:
            stored = server.model.producers.get(producer_id)
            fates = stored.fates if stored is not None else {}
            assert sorted(fates) == list(range(1, len(fates) + 1)), end
            # A loss may have the number of a neighbour, so that an event's number need not be its step.
            steps = [fate.step for _, fate in sorted(fates.items()) if not isinstance(fate, str)]
            assert steps == sorted(set(steps)), end
            assert len(steps) >= safe, end


def told(end: str, job: subprocess.Popen[str]) -> tuple[str, str, int]:
    """The producer, how its life ended, and how many of its events were safe at the last moment that it told of."""
    out, _ = job.communicate(timeout=60)
    # A kill can cut the last line anywhere.
    lines = [line.split() for line in out.splitlines(keepends=True) if line.endswith("\n")]
    return (lines[-1][0], end, max(int(safe) for _, safe in lines)) if lines else ("", end, 0)
