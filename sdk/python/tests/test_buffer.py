"""What the buffer makes of whatever is logged: both encodings say the same, and what is evicted is lost, and only that.

Seeds are fixed; `SLUICE_SEED=n` runs another one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from sluice._generated import collector_pb2 as pb
from sluice.buffer.intake import PER_EVENT
from sluice.buffer.loss import LossRange, LossReason
from sluice.buffer.released_losses import ReleasedLosses
from sluice.buffer.request_buffer import RequestBuffer
from sluice.encode.block import encode_blocks
from sluice.encode.event import encode_events
from sluice.encode.event_reader import EventReader
from sluice.encode.head import Head
from sluice.limits import RELEASED_LOSS_RANGES
from sluice.snapshot import snapshot

from .support.collector_model import CollectorModel, Fate

MIB = 2**20
SEEDS = [int(os.environ["SLUICE_SEED"])] if "SLUICE_SEED" in os.environ else [1, 2, 3, 4]
PRODUCER = pb.LogRequest(producer=pb.Producer(id=bytes(16))).SerializeToString()


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = 5 * 10**9

    def wall_ns(self) -> int:
        return 1_700_000_000 * 10**9 + self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns


class Buffered:
    """A buffer, and what is logged into it as a log call does."""

    def __init__(
        self, encode: Any = encode_blocks, buffer_bytes: int = 64 * MIB, request_bytes: int = MIB
    ) -> None:
        self.clock = FakeClock()
        self.problems: list[str] = []
        self.buffer = RequestBuffer(
            buffer_bytes=buffer_bytes,
            request_bytes=request_bytes,
            reader=EventReader(),
            encode=encode,
            clock=self.clock,
            field_failed=self.problems.append,
        )

    def log(self, head: str | Head, fields: dict[str, object]) -> None:
        kept = snapshot(fields, isinstance(head, Head) and head.is_literal)
        self.clock.now_ns += 1000
        self.buffer.intake.items.extend((self.clock.now_ns, head, kept.fields))

    def fates(self) -> dict[int, Fate]:
        """Freezes everything; what became of each number, by the rules of the contract."""
        buffer = self.buffer
        buffer.gather()
        while buffer.freeze(True):
            pass
        model = CollectorModel()
        for request in buffer.frozen:
            model.open_call().take(PRODUCER + request.data)
            lost = sum(loss.count for loss in request.losses)
            assert request.events + lost == request.last - request.first + 1, "a request knows what it holds"
            assert request.losses == tuple(sorted(request.losses, key=lambda loss: loss.first))
        return dict(model.only().fates)


def plain(fates: dict[int, Fate]) -> dict[int, str]:
    """NaN is not equal to itself, but its text is. Maps have no order."""
    return {
        number: fate
        if isinstance(fate, str)
        else repr(
            (
                fate.name,
                fate.time_unix_nano,
                fate.severity_number or 9,
                fate.body,
                fate.step if fate.HasField("step") else None,
                sorted(fate.metrics.items()),
                sorted(fate.attributes.items()),
                fate.trace_id,
                fate.span_id,
            )
        )
        for number, fate in fates.items()
    }


def whatever(chance: random.Random) -> tuple[str | Head, dict[str, object]]:
    """A log call of any kind, mostly a usual one."""
    keys = ["a", "b", "größe", "k\ud800", "k\udc00", "x" * 300, "", "long_key" * 10, "7"]
    words = ["train", "eval", "", "Grüße", "日本", "lone \udfff", "w" * 23, "w" * 500]
    values: list[object] = [
        chance.uniform(-5e5, 5e5),
        chance.randrange(10),
        float("nan"),
        -0.0,
        2**60,
        2**53 + 1,
        chance.choice(words),
        chance.choice(words),
        chance.random() < 0.5,
        None,
        [1, "a"],
        {"k": (True, None)},
        lambda: 1,
    ]
    fields: dict[str, object] = {}
    if chance.random() < 0.6:
        fields = {"loss": chance.random(), "lr": 3e-4, "source": "rank-0", "phase": "train"}
    if chance.random() < 0.01:
        fields["phase"] = chance.choice(words)
    if chance.random() < 0.3:
        for _ in range(chance.randrange(6)):
            fields[chance.choice(keys)] = chance.choice(values)
    if chance.random() < 0.7:
        fields["step"] = chance.choice(
            [chance.randrange(-1000, 1000), 2**40, 2**62, -(2**63), 1.5, True, None]
        )
    if chance.random() < 0.2:
        fields["severity"] = chance.choice([1, 24, "error", "loud", 0])
    if chance.random() < 0.1:
        fields["trace_id"] = chance.choice(["ab" * 16, "zz", bytes(16)])
    if chance.random() < 0.1:
        fields["span_id"] = chance.choice(["cd" * 8, bytes(8)])
    if chance.random() < 0.2:
        fields["time"] = chance.choice([1_700_000_000.25, 1_800_000_000 * 10**9, 5, -1])
    if chance.random() < 0.2:
        fields["body"] = chance.choice(words)
    name = chance.choice(["train.step", "train.step", "train.step", "eval", "", "log", "n" * 300])
    if chance.random() < 0.2:
        return Head(
            name, chance.randrange(1, 25), chance.choice([None, *words]), chance.random() < 0.5
        ), fields
    return name, fields


@pytest.mark.parametrize("seed", SEEDS)
def test_both_encodings_say_the_same_about_whatever_is_logged_however_it_is_gathered(seed: int) -> None:
    chance = random.Random(seed)
    blocks, rows, singles = Buffered(), Buffered(encode_events), Buffered(encode_events)
    reasons: list[LossReason] = ["too_large", "encoding"]
    for _ in range(2000):
        if chance.random() < 0.02:
            reason = chance.choice(reasons)
            for each in (blocks, rows, singles):
                # In this place: a drop is counted when what was logged before it is gathered.
                each.buffer.gather()
                each.buffer.intake.drop(reason)
                each.buffer.gather()
        head, fields = whatever(chance)
        for each in (blocks, rows, singles):
            each.log(head, fields)
        singles.buffer.gather()
        if chance.random() < 0.01:
            blocks.buffer.gather()
            blocks.buffer.freeze(chance.random() < 0.3)
    expected = plain(singles.fates())
    assert plain(blocks.fates()) == expected
    assert plain(rows.fates()) == expected
    assert blocks.buffer.field_errors == rows.buffer.field_errors == singles.buffer.field_errors > 0
    assert bool(blocks.problems) == bool(rows.problems) is True


def content(number: int, kind: int) -> dict[str, object]:
    if kind == 0:
        return {"value": float(number), "source": "constant"}
    if kind == 1:
        return {"text": f"{number}" + "ü" * (number % 90)}
    if kind == 2:
        return {"a": number, "b": -number, "body": f"body {number}"}
    return {"parity": "rare" if number % 97 == 0 else "usual", f"k{number % 5}": 1}


@pytest.mark.parametrize("encode", [encode_blocks, encode_events], ids=["blocks", "rows"])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_evicted_is_lost_and_everything_else_is_as_it_was_logged(
    seed: int, encode: Callable[..., bytes]
) -> None:
    chance = random.Random(seed)
    buffer_bytes = 200_000 + chance.randrange(100_000)
    buffered = Buffered(encode, buffer_bytes, request_bytes=40_000)
    buffer = buffered.buffer
    expected: dict[int, tuple[int, int]] = {}
    for number in range(1, 12_001):
        # Waves, so that eviction meets the open draft and all sealed ones, and drafts of one severity and of several.
        wave = number // 1500
        severity = 2 + wave * 2 if chance.random() < 0.7 else chance.randrange(1, 25)
        kind = chance.randrange(4)
        expected[number] = (severity, kind)
        buffered.log("e", {**content(number, kind), "step": number, "severity": severity})
        if chance.random() < 0.1:
            buffer.gather()
            assert buffer.buffered_bytes <= buffer_bytes
            assert buffer.logged == sum(buffer.dropped.values()) + buffer.buffered_events
    buffer.gather()
    assert buffer.buffered_bytes <= buffer_bytes
    kept, dropped = buffer.buffered_events, buffer.dropped["buffer_full"]
    fates = buffered.fates()
    assert list(fates) == list(range(1, 12_001))
    events = 0
    for number, fate in fates.items():
        severity, kind = expected[number]
        if isinstance(fate, str):
            assert fate == "LOSS_REASON_BUFFER_FULL"
            continue
        events += 1
        assert fate.step == number, "an event under a number that is not its own"
        assert (fate.severity_number or 9) == severity
        wanted = content(number, kind)
        assert fate.body == wanted.pop("body", "")
        assert {**fate.metrics, **fate.attributes} == wanted
    assert (events, dropped) == (kept, 12_000 - kept)
    for request in buffer.frozen:
        request.sends = 1
    buffer.release(12_000)
    assert (buffer.buffered_bytes, buffer.buffered_events) == (0, 0), (
        "what was counted when it came is when it goes"
    )


def test_a_great_many_losses_are_several_requests() -> None:
    for encode in (encode_blocks, encode_events):
        buffered = Buffered(encode)
        buffer = buffered.buffer
        for number in range(12_000):
            buffered.log("e", {"step": number})
            buffer.gather()
            buffer.intake.drop("encoding" if number % 2 else "too_large")
            buffer.gather()
        fates = buffered.fates()
        assert len(buffer.frozen) == 2
        assert all(len(request.losses) <= 10_000 for request in buffer.frozen)
        assert list(fates) == list(range(1, 24_001))
        steps = [fate.step for fate in fates.values() if not isinstance(fate, str)]
        assert steps == list(range(12_000))


def test_a_request_has_at_most_a_thousand_shapes() -> None:
    buffered = Buffered()
    for index in range(5000):
        buffered.log("e", {f"metric_{index}": index, f"text_{index}": "x"})
    fates = buffered.fates()
    assert len(fates) == 5000
    for request in buffered.buffer.frozen:
        assert len(pb.LogRequest.FromString(request.data).blocks) <= 1000
    for number, fate in fates.items():
        assert not isinstance(fate, str)
        assert dict(fate.metrics) == {f"metric_{number - 1}": number - 1}


def test_requests_are_of_about_the_size_that_they_should_have() -> None:
    buffered = Buffered(request_bytes=64 * 1024)
    for index in range(20_000):
        buffered.log("e", {"step": index, "loss": index / 3, "text": "x" * (index % 200)})
    buffered.fates()
    sizes = [len(request.data) for request in buffered.buffer.frozen]
    assert max(sizes) <= 64 * 1024 * 9 // 8 + 1024
    assert min(sizes[:-1]) >= 32 * 1024


def test_large_events_are_not_gathered_into_one_request() -> None:
    buffered = Buffered(request_bytes=MIB)
    for index in range(40):
        buffered.log("e", {"step": index, "text": chr(97 + index % 26) * 900_000})
    buffered.fates()
    assert max(len(request.data) for request in buffered.buffer.frozen) <= 2 * MIB


def test_the_intake_is_told_how_far_log_calls_may_go() -> None:
    buffered = Buffered(buffer_bytes=65_536, request_bytes=8192)
    buffer, intake = buffered.buffer, buffered.buffer.intake
    assert intake.limit == 0, "the first call wakes the thread"
    buffered.log("e", {"a": 1.0})
    buffer.gather()
    assert intake.limit >= PER_EVENT * 128, "the open draft is looked after by the thread"
    for index in range(5000):
        buffered.log("e", {"a": float(index)})
    buffer.gather()
    assert (intake.limit, intake.closed_to) == (0, 9), "full: nothing of this severity is taken"
    assert buffer.buffered_bytes <= 65_536
    while buffer.freeze(True):
        pass
    for request in buffer.frozen:
        request.sends = 1
    buffer.release(buffer.logged)
    assert (intake.limit, intake.closed_to) == (0, 0), "empty: the next call wakes the thread"
    buffer.set_watched(True)
    buffer.gather()
    assert intake.limit > 0, "it looks by itself"
    buffer.set_watched(False)
    assert intake.limit == 0
    buffer.close()
    assert (intake.limit, intake.closed_to) == (0, 25)


def test_closing_counts_what_is_left() -> None:
    buffered = Buffered()
    buffer = buffered.buffer
    for index in range(10):
        buffered.log("e", {"a": float(index)})
    buffer.gather()
    buffer.freeze(True)
    buffered.log("e", {"a": 1.0})
    buffer.close()
    assert buffer.logged == buffer.dropped["closed"] == 11
    assert (buffer.buffered_events, buffer.buffered_bytes, len(buffer.frozen)) == (0, 0, 0)


def test_a_fault_of_the_sdk_costs_events_and_not_their_count() -> None:
    buffered = Buffered()
    buffer = buffered.buffer
    for index in range(3000):
        buffered.log("e", {"a": float(index)})
    calls = 0

    def broken(columns: object) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise TypeError("a fault")
        return True

    buffer._fits = broken  # type: ignore[method-assign]
    with pytest.raises(TypeError):
        buffer.gather()
    buffer.gather()
    assert buffer.logged == 3000
    assert buffer.dropped["encoding"] == 3000 - 1024
    assert len(buffered.fates()) == 3000


def test_what_was_lost_in_a_request_that_a_collector_had_a_part_of_is_counted_once_when_that_is_lost_too() -> (
    None
):
    buffered = Buffered()
    buffer = buffered.buffer

    def send(events: int) -> None:
        for step in range(events):
            buffered.log("e", {"step": step})
        buffer.gather()
        assert buffer.freeze(True)
        buffer.frozen[0].sends = 1

    def counts() -> tuple[int, int, int]:
        return buffer.acknowledged, buffer.dropped["too_large"], buffer.dropped["refused"]

    send(3)
    assert buffer.release(3)
    buffer.intake.drop("too_large")
    buffer.gather()
    send(9)
    assert buffer.rewind(8) == "repaired"
    assert counts() == (6, 1, 6)
    buffer.frozen[0].sends = 1
    assert buffer.release(13)
    assert counts() == (6, 1, 6)
    send(1)
    assert buffer.rewind(4) == "repaired"
    assert counts() == (3, 1, 9)
    assert [(loss.first, loss.count, loss.reason) for loss in buffer.frozen[0].losses] == [
        (4, 1, "too_large"),
        (5, 9, "refused"),
    ]


def test_released_losses_are_remembered_in_a_thousand_ranges_at_most_neighbours_together() -> None:
    def loss(first: int, count: int = 1) -> LossRange:
        return LossRange(first, count, "buffer_full", 0)

    released = ReleasedLosses()
    released.add(loss(number) for number in range(1, 5001))
    released.add(loss(number) for number in range(6000, 6000 + 2 * RELEASED_LOSS_RANGES - 2, 2))
    assert released.take_from(6002)[0] == loss(6002)
    assert released.take_from(100_000) == []
    assert released.take_from(4000) == [loss(4000, 1001), loss(6000)]
    released.add([loss(4000)])
    assert released.take_from(1) == [loss(1, 4000)]
    released.add(loss(2 * number) for number in range(1, RELEASED_LOSS_RANGES + 3))
    remembered = released.take_from(1)
    assert (len(remembered), remembered[0]) == (RELEASED_LOSS_RANGES, loss(6))
