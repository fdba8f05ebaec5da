"""Random logs, drops, failures, lost answers and poison against a collector in memory that holds the sequence rules. In
the end every number must have exactly one fate, and the counters must agree with what is stored."""

from __future__ import annotations

import os
import random
from typing import Literal

import pytest

from sluice._generated import collector_pb2 as pb
from sluice.buffer.loss import encode_losses

from .support.collector_model import RefusedCall, overloaded
from .support.model_job import ModelJob, ModelSettings
from .support.model_transport import Faults

SEED_COUNT = int(os.environ.get("SLUICE_SEEDS", "9"))
#: SLUICE_SEED: one of them; SLUICE_SEEDS: how many.
SEEDS = [int(os.environ["SLUICE_SEED"])] if "SLUICE_SEED" in os.environ else list(range(1, SEED_COUNT + 1))


@pytest.mark.parametrize("encoding", ["blocks", "rows"])
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_on_the_way_every_event_is_accounted_for_exactly_once(
    seed: int, encoding: Literal["blocks", "rows"]
) -> None:
    rng = random.Random(seed)

    def chance(probability: float) -> bool:
        return rng.random() < probability

    is_faulty = True
    poison_rate = 0.002 if seed % 3 == 0 else 0.0
    fault_rate = (0.0, 0.05, 0.3)[seed % 3]
    settings = ModelSettings(
        buffer_bytes=64 * 1024 * (1 + rng.randrange(3)),
        request_bytes=1024 + rng.randrange(8192),
        call_bytes=1024 + rng.randrange(32_768),
        ack_timeout_ms=3000,
        encoding=encoding,
    )
    faults = Faults(
        breaks_before=lambda: is_faulty and chance(fault_rate),
        loses_answer=lambda: is_faulty and chance(fault_rate * 2),
        hangs=lambda: is_faulty and chance(fault_rate / 3),
        delay_ms=lambda: float(rng.randrange(50)),
    )
    job = ModelJob(settings, faults, rng.random)
    seen: dict[tuple[int, bool], bytes] = {}

    def before_message(data: bytes) -> None:
        # Byte for byte: what begins at a number is always the same, until it is given up as lost.
        request = pb.LogRequest.FromString(data)
        request.ClearField("producer")
        if not request.flush:
            is_lost = any(loss.reason == pb.LOSS_REASON_REFUSED for loss in request.losses)
            text = request.SerializeToString(deterministic=True)
            assert seen.setdefault((request.first_sequence, is_lost), text) == text
        if b"poison" in data:
            raise RefusedCall(3, "poison")
        if is_faulty and chance(fault_rate / 3):
            raise overloaded(300 if chance(0.8) else None)

    job.model.before_message = before_message
    for _ in range(40):
        for _ in range(1500 if chance(0.2) else rng.randrange(40)):
            severity = rng.choice([5, 9, 9, 9, 13, 17])
            kind = rng.random()
            if kind < poison_rate:
                job.log(severity=severity, word="poison")
            elif kind < 0.01:
                job.log(severity=severity, text="x" * 2_000_000)
            else:
                job.log(severity=severity, text="x" * rng.randrange(100))
        if chance(0.1):
            job.flush()
        if chance(0.05):
            # As a fork does.
            job.loop.post(job.delivery.interrupt)
            job.loop.post(job.delivery.resume)
        if chance(0.05):
            job.loop.wall_offset_ms += rng.choice([-3_600_000.0, -500.0, 500.0, 86_400_000.0])
        job.loop.advance(rng.randrange(800))
        job.assert_balanced()
        # Losses need no room in the buffer, nor does a request's first number.
        beside = sum(len(encode_losses(request.losses)) + 6 for request in job.buffer.frozen)
        # As rows, what is frozen is larger than what was counted for it before.
        factor = 2 if encoding == "rows" else 1
        assert job.buffer.buffered_bytes <= settings.buffer_bytes * factor + beside
    is_faulty = False
    flushed = job.flush()
    job.loop.advance(600_000)
    assert flushed == [True]

    job.assert_balanced()
    buffer, stored = job.buffer, job.model.only()
    assert buffer.logged == job.logged
    assert sorted(stored.fates) == list(range(1, buffer.logged + 1))
    lost = {name.replace("LOSS_REASON_", "").lower(): count for name, count in stored.losses.items()}
    assert lost == {reason: count for reason, count in buffer.dropped.items() if count > 0}
    assert len(stored.events) == buffer.acknowledged
    assert buffer.buffered_bytes == 0
    assert job.transport.most_open_calls <= 1, "one call in flight"
    job.stop()
    assert job.loop.timers == 0, "what is stopped leaves no timer"
