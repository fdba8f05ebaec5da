"""What becomes of the values of an event."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import fractions
import math
import pathlib
import threading
import time
import uuid
from collections import deque, namedtuple
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from .support.logging_job import LoggingJob


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 7


class Mode(str, enum.Enum):
    TRAIN = "train"


@dataclasses.dataclass
class Config:
    lr: float
    betas: tuple[float, float]


class Weird:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Loud:
    def __repr__(self) -> str:
        return "<loud>"


Point = namedtuple("Point", "x y")

METRICS = [
    (1, 1.0),
    (-(2**53), -(2.0**53)),
    (2.5, 2.5),
    (np.float64(0.1), 0.1),
    (np.float32(0.5), 0.5),
    (np.float16(0.5), 0.5),
    (np.longdouble(0.25), 0.25),
    (np.int8(-3), -3.0),
    (np.uint64(7), 7.0),
    (np.array(3.5), 3.5),
    (np.array(4), 4.0),
    (Decimal("1.5"), 1.5),
    (fractions.Fraction(1, 4), 0.25),
    (Level.HIGH, 7.0),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    (np.float32("inf"), math.inf),
]

ATTRIBUTES = [
    ("text", "text"),
    ("", ""),
    ("x" * 10_000, "x" * 10_000),
    (True, "true"),
    (False, "false"),
    (np.bool_(True), "true"),
    (np.array(False), "false"),
    (2**53 + 1, "9007199254740993"),
    (-(10**40), "-1" + "0" * 40),
    (np.uint64(2**64 - 1), "18446744073709551615"),
    (np.str_("numpy"), "numpy"),
    (b"bytes \xff", "bytes \ufffd"),
    (1 + 2j, "(1+2j)"),
    (Mode.TRAIN, "train"),
    (Color.RED, "RED"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), "2026-01-02T03:04:05+00:00"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    ([1, 2.5, "x", None, True], '[1,2.5,"x",null,true]'),
    ((), "[]"),
    (Point(1, 2), "[1,2]"),
    ({"a": {"b": [1, 2]}, "c": "ü"}, '{"a":{"b":[1,2]},"c":"ü"}'),
    ({1: 2, None: 3}, '{"1":2,"null":3}'),
    ({(1, 2): 3}, '{"(1, 2)":3}'),
    ({3}, "[3]"),
    (deque([1, 2]), "[1,2]"),
    (range(3), "[0,1,2]"),
    ([math.nan, math.inf, 1.0], "[null,null,1.0]"),
    ([np.float32(0.5), np.int64(3), np.bool_(True), np.array([1, 2])], "[0.5,3,true,[1,2]]"),
    ([2**60], "[1152921504606846976]"),
    (np.array([1.0, math.nan]), "[1.0,null]"),
    (np.arange(4).reshape(2, 2), "[[0,1],[2,3]]"),
    (np.array([7]), "[7]"),
    (Config(0.1, (0.9, 0.99)), '{"lr":0.1,"betas":[0.9,0.99]}'),
    ([Config(0.1, (0.9, 0.99)), Color.RED], '[{"lr":0.1,"betas":[0.9,0.99]},"RED"]'),
    (Loud(), "<loud>"),
]


@pytest.mark.parametrize(("value", "expected"), METRICS, ids=[f"{type(v).__name__} {v}" for v, _ in METRICS])
def test_a_number_of_any_library_is_a_metric(job: LoggingJob, value: object, expected: float) -> None:
    job.log.event("e", v=value)
    assert dict(job.event().metrics) == {"v": expected}
    assert job.log.stats().field_errors == 0


@pytest.mark.parametrize(
    ("value", "expected"), ATTRIBUTES, ids=[f"{type(v).__name__} {e[:40]}" for v, e in ATTRIBUTES]
)
def test_everything_else_is_a_text(job: LoggingJob, value: object, expected: str) -> None:
    job.log.event("e", v=value)
    assert dict(job.event().attributes) == {"v": expected}
    assert job.log.stats().field_errors == 0


def test_nan_stays_nan(job: LoggingJob) -> None:
    for value in (math.nan, np.float32("nan"), np.array(math.nan), Decimal("nan")):
        job.log.event("e", v=value)
    assert all(math.isnan(event.metrics["v"]) for event in job.events())
    assert len(job.events()) == 4


def test_none_is_left_out(job: LoggingJob) -> None:
    job.log.event("e", a=None, b=1)
    assert job.fields() == {"b": 1}
    assert job.log.stats().field_errors == 0


def itself() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    "value",
    [lambda: 1, print, int, math, Weird(), itself(), {"a": Weird()}, 10**5000],
    ids=[
        "function",
        "builtin",
        "class",
        "module",
        "no text",
        "contains itself",
        "no text inside",
        "too many digits",
    ],
)
def test_what_has_no_text_is_left_out_and_counted(job: LoggingJob, value: object) -> None:
    job.log.event("e", v=value, rest=1)
    assert job.fields() == {"rest": 1}
    assert job.log.stats().field_errors == 1
    assert job.kinds() == ["encoding"]


def test_an_exception_is_its_traceback(job: LoggingJob) -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        job.log.event("e", error=error)
    text = job.fields()["error"]
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("ValueError: broken")


def test_a_value_is_read_when_it_is_logged_and_not_later(job: LoggingJob) -> None:
    values, array, table = [1], np.array(1.0), {"a": 1}
    fields: dict[str, Any] = {"loss": 1.0}
    job.log.event("e", values=values, array=array, table=table, matrix=np.atleast_1d(array))
    job.log.metrics(fields)
    values.append(2)
    array[...] = 2.0
    table["b"] = 2
    fields["loss"] = 2.0
    first, second = job.events()
    assert {**first.metrics, **first.attributes} == {
        "values": "[1]",
        "array": 1.0,
        "table": '{"a":1}',
        "matrix": "[1.0]",
    }
    assert dict(second.metrics) == {"loss": 1.0}


def test_lone_surrogates_become_the_replacement_character(job: LoggingJob) -> None:
    job.log.event("n\ud800", **{"k\udfff": "v\ud800"}, b="\ud83d\ude00", body="b\udc00")
    event = job.event()
    assert (event.name, event.body) == ("n\ufffd", "b\ufffd")
    assert dict(event.attributes) == {"k\ufffd": "v\ufffd", "b": "😀"}


def test_of_keys_that_are_the_same_when_they_are_sent_the_last_value_stays(job: LoggingJob) -> None:
    values: list[tuple[str, Any]] = [("k\ud800", 1), ("k\udc00", 2), ("t\ud800", "a"), ("t\udc00", "b")]
    job.log.event("e", **dict(values))
    assert job.fields() == {"k\ufffd": 2, "t\ufffd": "b"}


def test_a_long_name_is_cut_and_a_long_or_empty_key_is_left_out(job: LoggingJob) -> None:
    job.log.event("n" * 300, **{"k" * 257: 1, "": 2, "k" * 256: 3})
    event = job.event()
    assert event.name == "n" * 256
    assert dict(event.metrics) == {"k" * 256: 3}
    assert job.log.stats().field_errors == 3


def test_a_name_is_cut_between_characters(job: LoggingJob) -> None:
    job.log.event("ü" * 200)
    assert job.event().name == "ü" * 128


def test_the_1025th_key_is_left_out(job: LoggingJob) -> None:
    job.log.event("e", **{f"k{index}": index for index in range(1030)})
    assert len(job.event().metrics) == 1024
    assert job.log.stats().field_errors == 6


def test_an_event_beyond_a_mebibyte_is_lost_and_counted(job: LoggingJob) -> None:
    job.log.event("e", text="x" * (2**20 + 1))
    job.log.event("e", text="x" * (2**20))
    job.log.event("e", list=[1] * (2**19 + 1))
    job.log.event("e", array=np.zeros(2**19 + 1))
    job.log.event("e", body="ü" * 600_000)
    job.log.event("e", **{f"k{index}": "y" * 1100 for index in range(1000)})
    job.log.event("e", fits="x" * (2**20 - 100))
    assert [len(event.attributes["fits"]) for event in job.events()] == [2**20 - 100]
    assert job.log.stats().dropped["too_large"] == 6
    assert job.stored.losses == {"LOSS_REASON_TOO_LARGE": 6}
    assert job.kinds() == ["too_large"]


class FakeDevice:
    type = "cuda"


class FakeTensor:
    """As much of a tensor on a GPU as is asked for. `item` says on which thread it was called."""

    device = FakeDevice()
    ndim = 0
    readers: list[threading.Thread]

    def __init__(self, value: Any, readers: list[threading.Thread], ndim: int = 0) -> None:
        self.value, self.readers, self.ndim = value, readers, ndim

    def detach(self) -> FakeTensor:
        return self

    def clone(self) -> FakeTensor:
        return FakeTensor(self.value, self.readers, self.ndim)

    def numel(self) -> int:
        return 1 if self.ndim == 0 else len(self.value)

    def item(self) -> Any:
        self.readers.append(threading.current_thread())
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def tolist(self) -> Any:
        self.readers.append(threading.current_thread())
        return self.value


def test_a_tensor_on_a_gpu_is_copied_in_the_call_and_read_on_another_thread(job: LoggingJob) -> None:
    readers: list[threading.Thread] = []
    loss = FakeTensor(0.5, readers)
    job.log.event("e", loss=loss, step=FakeTensor(7, readers), flag=FakeTensor(True, readers))
    job.log.event("e", grads=FakeTensor([1.0, 2.0], readers, ndim=1))
    loss.value = 9.0
    first, second = job.events()
    assert (first.step, dict(first.metrics), dict(first.attributes)) == (7, {"loss": 0.5}, {"flag": "true"})
    assert dict(second.attributes) == {"grads": "[1.0,2.0]"}
    assert len(readers) == 4
    assert threading.current_thread() not in readers


def test_tensors_on_a_gpu_in_lists_and_objects_are_read_on_another_thread_too(job: LoggingJob) -> None:
    readers: list[threading.Thread] = []
    loss, grads = FakeTensor(0.5, readers), FakeTensor([1.0, math.nan], readers, ndim=1)
    job.log.event("e", losses=[loss, 1.5, "x"], all={"grads": (grads,), "n": np.array([1])}, rest=1)
    loss.value = 9.0
    assert job.fields() == {"losses": '[0.5,1.5,"x"]', "all": '{"grads":[[1.0,null]],"n":[1]}', "rest": 1}
    assert len(readers) == 2
    assert threading.current_thread() not in readers


def test_a_tensor_that_cannot_be_read_costs_its_field(job: LoggingJob) -> None:
    job.log.event("e", a=FakeTensor(RuntimeError("device lost"), []), b=1)
    assert job.fields() == {"b": 1}
    assert job.log.stats().field_errors == 1


def test_a_step_is_a_whole_number_of_any_library(job: LoggingJob) -> None:
    for step in (0, 5, -1, 2**63 - 1, np.int64(7), np.array(8), np.uint8(9)):
        job.log.event("e", step=step)
    assert [event.step for event in job.events()] == [0, 5, -1, 2**63 - 1, 7, 8, 9]
    assert job.log.stats().field_errors == 0


@pytest.mark.parametrize("step", [1.0, 1.5, True, "7", 2**63, np.float32(3)])
def test_a_step_that_is_no_whole_number_becomes_a_field_and_is_reported(job: LoggingJob, step: Any) -> None:
    job.log.event("e", step=step)
    event = job.event()
    assert not event.HasField("step")
    assert "step" in {**event.metrics, **event.attributes}
    assert job.log.stats().field_errors == 1
    assert "reserved name" in job.diagnostics[0].message


def test_no_step_is_no_step(job: LoggingJob) -> None:
    job.log.event("e", step=None)
    assert not job.event().HasField("step")
    assert job.log.stats().field_errors == 0


def test_the_time_may_be_given_in_several_ways(job: LoggingJob) -> None:
    at = datetime.datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=datetime.timezone.utc)
    ns = 1_795_435_200_123_456_000
    job.log.event("e", time=at)
    job.log.event("e", time=at.astimezone().replace(tzinfo=None))
    job.log.event("e", time=ns)
    job.log.event("e", time=ns / 1e9)
    job.log.event("e", time=np.int64(ns))
    times = [event.time_unix_nano for event in job.events()]
    assert times[:3] == [ns] * 3
    assert times[4] == ns
    assert abs(times[3] - ns) < 1000
    assert job.log.stats().field_errors == 0


@pytest.mark.parametrize("value", [0.5, 3, "noon", math.nan, -1, 2**63, True])
def test_a_time_that_is_none_becomes_a_field(job: LoggingJob, value: Any) -> None:
    before = time.time_ns() - 1_000_000_000
    job.log.event("e", time=value)
    assert job.event().time_unix_nano > before
    assert "time" in job.fields()
    assert job.log.stats().field_errors == 1


@pytest.mark.parametrize(
    ("severity", "number"),
    [
        ("debug", 5),
        ("info", 9),
        ("warning", 13),
        ("WARN", 13),
        ("error", 17),
        ("critical", 21),
        (1, 1),
        (24, 24),
    ],
)
def test_a_severity_is_a_word_or_a_number(job: LoggingJob, severity: Any, number: int) -> None:
    job.log.event("e", severity=severity)
    assert (job.event().severity_number or 9) == number
    assert job.fields() == {}


@pytest.mark.parametrize("severity", ["loud", 0, 25, 9.0, True])
def test_a_severity_that_is_none_becomes_a_field(job: LoggingJob, severity: Any) -> None:
    job.log.event("e", severity=severity)
    assert (job.event().severity_number or 9) == 9
    assert "severity" in job.fields()


def test_ids_are_hexadecimal_or_bytes_and_else_fields(job: LoggingJob) -> None:
    trace, span = bytes(range(16)), bytes(range(8))
    job.log.event("e", trace_id=trace, span_id=span)
    job.log.event("e", trace_id=trace.hex(), span_id=span.hex().upper())
    job.log.event("e", trace_id="ab", span_id="zz" * 8)
    events = job.events()
    assert [(event.trace_id, event.span_id) for event in events] == [(trace, span)] * 2 + [(b"", b"")]
    assert dict(events[2].attributes) == {"trace_id": "ab", "span_id": "zz" * 8}
    assert job.log.stats().field_errors == 2
