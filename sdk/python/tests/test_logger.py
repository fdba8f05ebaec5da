"""What a logger does with log calls, however they come."""

from __future__ import annotations

import asyncio
import gc
import itertools
import pickle
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import sluice
from sluice import Logger
from sluice._generated import collector_pb2 as pb
from sluice.buffer.request_buffer import RequestBuffer
from sluice.clock import SYSTEM_CLOCK
from sluice.core import Core
from sluice.create import create_logger, revive
from sluice.delivery.outlet import Outlet
from sluice.delivery.source import DeliveryCounts
from sluice.diagnostics import Diagnostics
from sluice.encode.block import encode_blocks
from sluice.encode.event_reader import EventReader
from sluice.options import resolve_options

from .support.collector_model import RefusedCall
from .support.fake_collector import FakeCollector
from .support.logging_job import LoggingJob
from .support.plain_source import wait_until

MakeJob = Callable[..., LoggingJob]


def invariant(log: sluice.Logger) -> bool:
    stats = log.stats()
    return stats.logged == stats.acknowledged + sum(stats.dropped.values()) + stats.buffered_events


def test_events_arrive_as_they_were_logged_in_their_order(job: LoggingJob) -> None:
    for step in range(3000):
        job.log.event("train.step", step=step, loss=step / 2, phase="train")
    events = job.events()
    assert [event.step for event in events] == list(range(3000))
    assert all(dict(event.metrics) == {"loss": event.step / 2} for event in events)
    assert all(dict(event.attributes) == {"phase": "train"} for event in events)
    assert list(job.fates) == list(range(1, 3001))
    assert job.log.stats().acknowledged == 3000


def test_events_of_many_shapes_keep_their_order_and_their_fields(job: LoggingJob) -> None:
    for index in range(2000):
        job.log.event(f"kind.{index % 7}", **{f"k{index % 5}": index, "text": "x" * (index % 90)})
    for index, event in enumerate(job.events()):
        assert event.name == f"kind.{index % 7}"
        assert dict(event.metrics) == {f"k{index % 5}": index}
        assert dict(event.attributes) == {"text": "x" * (index % 90)}


def test_a_field_may_be_a_number_now_and_a_text_then(job: LoggingJob) -> None:
    values: list[Any] = [1.0, 2, "diverged", None, True, 2**60, 3.0]
    for value in values * 3:
        job.log.event("e", loss=value, rest=1)
    expected = [1.0, 2.0, "diverged", None, "true", "1152921504606846976", 3.0]
    fields = [{**event.metrics, **event.attributes} for event in job.events()]
    assert [each.get("loss") for each in fields] == expected * 3
    assert all(each["rest"] == 1 for each in fields)


def test_times_go_forward_with_the_numbers(job: LoggingJob) -> None:
    for _ in range(2000):
        job.log.event("e")
    times = [event.time_unix_nano for event in job.events()]
    assert times == sorted(times)
    assert abs(times[-1] - time.time_ns()) < 60 * 10**9


def test_levels_have_the_numbers_of_opentelemetry_and_a_body(job: LoggingJob) -> None:
    log = job.log
    for level in (log.debug, log.info, log.warning, log.error):
        level("text", path="/a", step=3)
    log.error("text", severity=21)
    events = job.events()
    assert [event.severity_number or 9 for event in events] == [5, 9, 13, 17, 21]
    assert {(event.name, event.body) for event in events} == {("log", "text")}
    assert all(event.step == 3 and dict(event.attributes) == {"path": "/a"} for event in events[:4])


def test_a_body_that_is_given_twice_is_the_first_and_a_field(job: LoggingJob) -> None:
    job.log.info("mine", body="other")
    job.log.event("line", body="step:1")
    first, second = job.events()
    assert (first.body, dict(first.attributes), second.body) == ("mine", {"body": "other"}, "step:1")


def test_an_exception_that_is_handled_is_logged_with_its_traceback(job: LoggingJob) -> None:
    try:
        raise KeyError("lr")
    except KeyError:
        job.log.exception("bad config", path="/a")
    job.log.exception("no exception at all")
    first, second = job.events()
    assert (first.body, first.severity_number) == ("bad config", 17)
    assert first.attributes["exception.type"] == "KeyError"
    assert first.attributes["exception.message"] == "'lr'"
    assert "raise KeyError" in first.attributes["exception.stacktrace"]
    assert first.attributes["path"] == "/a"
    assert dict(second.attributes) == {}


def test_metrics_takes_keys_of_any_name(job: LoggingJob) -> None:
    odd: dict[Any, object] = {
        "loss": 0.5,
        "grad/norm": 0.8,
        "time": 0.25,
        "step": 7,
        3: 1,
        "severity": "high",
    }
    job.log.metrics(odd, step=120)
    job.log.metrics({"a": 1}, 5, name="eval")
    job.log.metrics({"a": 1}, step="five")  # type: ignore[arg-type]
    job.log.metrics([1, 2], step=6)  # type: ignore[arg-type]
    first, second, third, fourth = job.events()
    assert (first.name, first.step) == ("metrics", 120)
    assert {**first.metrics, **first.attributes} == {
        "loss": 0.5,
        "grad/norm": 0.8,
        "time": 0.25,
        "step": 7.0,
        "3": 1.0,
        "severity": "high",
    }
    assert (second.name, second.step) == ("eval", 5)
    assert (third.HasField("step"), dict(third.attributes)) == (False, {"step": "five"})
    assert (fourth.step, dict(fourth.attributes)) == (6, {"values": "[1,2]"})


def test_a_timer_logs_how_long_it_took_and_what_went_wrong(job: LoggingJob) -> None:
    with job.log.timer("data.load", step=3) as timer:
        timer.add(rows=10)
    with pytest.raises(ZeroDivisionError), job.log.timer("divide"):
        raise ZeroDivisionError("by zero")
    first, second = job.events()
    assert (first.name, first.step, first.metrics["rows"]) == ("data.load", 3, 10)
    assert 0 <= first.metrics["duration_s"] < 60
    assert (second.severity_number, second.attributes["exception.type"]) == (17, "ZeroDivisionError")


def test_no_argument_makes_a_call_raise_and_each_uses_up_one_number(job: LoggingJob) -> None:
    class Hostile:
        def __len__(self) -> int:
            raise RuntimeError("length")

        def __str__(self) -> str:
            raise RuntimeError("text")

        def __hash__(self) -> int:
            raise RuntimeError("hash")

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("equality")

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    odd: list[Any] = [
        None,
        5,
        "",
        "text",
        b"bytes",
        [],
        {},
        object(),
        Hostile(),
        Hostile,
        lambda: 1,
        1.5,
        float("nan"),
    ]
    log: Any = job.log
    calls = 0
    for name, value in itertools.product(odd, odd):
        log.event(
            name, step=value, time=value, severity=value, body=value, trace_id=value, span_id=value, v=value
        )
        log.info(name, body=value, step=value)
        log.metrics({"a": value}, step=value, name=name)
        log.metrics(value, step=name)
        with log.timer(name, v=value):
            pass
        calls += 5
    assert log.stats().logged == calls
    assert log.flush(20).acknowledged
    stats = log.stats()
    assert len(job.fates) == calls
    assert len(job.stored.events) == calls - stats.dropped["encoding"]
    assert invariant(log)
    assert all(diagnostic.kind != "bug" for diagnostic in job.diagnostics), job.diagnostics


def test_a_call_within_the_text_of_a_value_is_an_event_of_its_own(job: LoggingJob) -> None:
    class Talkative:
        def __str__(self) -> str:
            job.log.event("inner", a=1)
            return "text"

    job.log.event("outer", v=Talkative())
    assert [event.name for event in job.events()] == ["inner", "outer"]


def test_a_hundred_threads_log_at_once_and_nothing_is_lost(make_job: MakeJob) -> None:
    job = make_job()
    each, threads = 1000, 100
    barrier = threading.Barrier(threads)

    def work(worker: int) -> None:
        barrier.wait()
        for index in range(each):
            job.log.event("tick", step=index, worker=worker)

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    events = job.events()
    assert job.log.stats().logged == each * threads
    assert len(events) == each * threads, job.log.stats()
    by_worker: dict[float, list[int]] = {}
    for event in events:
        by_worker.setdefault(event.metrics["worker"], []).append(event.step)
    assert all(steps == list(range(each)) for steps in by_worker.values())
    assert len(by_worker) == threads


def test_counters_add_up_at_any_moment(make_job: MakeJob) -> None:
    job = make_job(request_bytes=1024, buffer_bytes=65_536)
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set():
            job.log.event("tick", a=1.0, text="x" * 100)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(300):
        assert invariant(job.log)
    stopping.set()
    for worker in workers:
        worker.join()
    job.log.flush(20)
    assert invariant(job.log)


def test_flush_waits_for_what_this_thread_has_logged(make_job: MakeJob) -> None:
    job = make_job()
    stopping = threading.Event()

    def noise() -> None:
        while not stopping.is_set():
            job.log.event("noise", a=1.0)
            time.sleep(0.0001)

    worker = threading.Thread(target=noise)
    worker.start()
    for index in range(20):
        job.log.event("mine", step=index)
        assert job.log.flush(20).acknowledged
        assert [event.step for event in job.stored.events if event.name == "mine"] == list(range(index + 1))
    stopping.set()
    worker.join()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that are signals")
def test_a_signal_handler_may_log_at_any_moment_of_a_log_call(make_job: MakeJob) -> None:
    job = make_job()
    # A signal may come in the middle of the handler of the one before.
    numbers = itertools.count(1)

    def handler(number: int, frame: object) -> None:
        job.log.event("signal", step=next(numbers))
        job.log.stats()

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        deadline = time.monotonic() + 1
        main = 0
        while time.monotonic() < deadline:
            main += 1
            job.log.event("main", step=main, text="x" * 100)
            job.log.info("main")
            job.log.stats()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    events = job.events()
    handled = next(numbers) - 1
    assert sorted(event.step for event in events if event.name == "signal") == list(range(1, handled + 1))
    assert [event.step for event in events if event.name == "main"] == list(range(1, main + 1))
    assert len(events) == handled + 2 * main
    assert handled > 10


def test_a_finalizer_may_log_while_a_log_call_collects_garbage(make_job: MakeJob) -> None:
    job = make_job()
    finalized = 0

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            nonlocal finalized
            finalized += 1
            job.log.event("finalized", text="x" * 100)

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for index in range(500):
            Cycle()
            job.log.event("main", step=index, values=[index])
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    events = job.events()
    assert len(events) == 500 + finalized
    assert finalized == 500


def test_coroutines_log_beside_each_other(make_job: MakeJob) -> None:
    job = make_job()

    async def request(number: int) -> None:
        with job.log.timer("request", step=number):
            await asyncio.sleep(0.001 * (number % 5))

    async def main() -> None:
        await asyncio.gather(*(request(number) for number in range(200)))

    asyncio.run(main())
    assert sorted(event.step for event in job.events()) == list(range(200))


def test_after_close_events_are_counted_as_lost(job: LoggingJob) -> None:
    job.log.event("e")
    result = job.log.close(20)
    assert (result.acknowledged, result.pending) == (True, 0)
    job.log.event("late")
    job.log.info("late")
    stats = job.log.stats()
    assert (stats.logged, stats.acknowledged, stats.dropped["closed"]) == (3, 1, 2)
    assert job.log.close() == result
    assert job.log.flush() == result
    assert [event.name for event in job.stored.events] == ["e"]


def test_that_somebody_logs_after_close_is_said_once(job: LoggingJob) -> None:
    job.log.event("e")
    job.log.close(20)
    assert job.kinds() == []
    job.log.event("too.late", step=1)
    job.log.info("late")
    for _ in range(100):
        job.log.event("late")
    job.log.close()
    job.log.event("late")
    wait_until(lambda: len(job.diagnostics) > 0)
    (diagnostic,) = job.diagnostics
    assert diagnostic.kind == "closed"
    assert "event 'too.late' of run test was logged after close() and is lost" in diagnostic.message
    assert "sluice.init()" in diagnostic.message


def test_a_program_that_ends_is_not_blamed_for_threads_that_still_log(job: LoggingJob) -> None:
    job.log.event("e")
    job.log.at_exit(20, is_last=True)
    job.log.event("late")
    assert job.log.stats().dropped["closed"] == 1
    assert job.log.close() == sluice.FlushResult(True, 0)
    assert job.kinds() == []


def test_a_log_call_after_close_does_not_wait_until_somebody_has_read_that_it_came_too_late(
    make_job: MakeJob,
) -> None:
    took_s = []
    for _ in range(5):
        has_returned = threading.Event()
        # Of each line: whether the log call returned while nobody read.
        lines: list[bool] = []
        job = make_job(
            on_diagnostic=lambda _, lines=lines, returned=has_returned: lines.append(returned.wait(20))
        )
        job.log.close(20)
        start_s = time.monotonic()
        job.log.event("late")
        took_s.append(time.monotonic() - start_s)
        has_returned.set()
        wait_until(lambda: lines)  # noqa: B023
        assert lines == [True]
    # The shortest, because this machine may do something else now and then.
    assert min(took_s) < 0.05


def test_a_logger_that_is_closed_by_several_threads_is_closed_once(make_job: MakeJob) -> None:
    job = make_job()
    job.log.event("e")
    results: list[sluice.FlushResult] = []
    closers = [threading.Thread(target=lambda: results.append(job.log.close(20))) for _ in range(8)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    assert results == [sluice.FlushResult(True, 0)] * 8


def test_a_logger_without_events_starts_no_thread_and_closes_at_once(make_job: MakeJob) -> None:
    before = threading.active_count()
    job = make_job()
    assert job.log.flush(20).acknowledged
    assert threading.active_count() == before
    assert job.log.close(20) == sluice.FlushResult(True, 0)
    assert job.stored.durable == 0


def test_a_logger_is_a_context_that_closes_it(well_behaved: FakeCollector) -> None:
    with create_logger({"endpoint": well_behaved.endpoint}) as log:
        log.event("e")
    assert log.stats().acknowledged == 1
    log.event("late")
    assert log.stats().dropped["closed"] == 1


def test_that_a_collector_answers_again_is_said_once_to_whoever_has_read_that_it_does_not() -> None:
    with FakeCollector() as server:
        pass
    with LoggingJob(server, backoff_min_ms=1, backoff_max_ms=5) as job:
        for _ in range(2):
            for step in range(7):
                job.log.event("e", step=step)
            calls = job.log.stats().calls
            wait_until(lambda: job.log.stats().calls > calls + 10)  # noqa: B023
            with FakeCollector(server.model, server.port):
                assert job.log.flush(20).acknowledged
        first, again = job.diagnostics
        assert first.kind == "unreachable"
        assert again.kind == "reached"
        words = rf"collector at {server.endpoint}: reached again after \d+ s; 7 events waited"
        assert re.fullmatch(words, again.message), again.message


def test_that_a_collector_answers_again_is_said_when_something_has_got_through() -> None:
    with FakeCollector() as server, LoggingJob(server, backoff_min_ms=1, backoff_max_ms=5) as job:
        server.on_end = lambda response: pb.LogResponse()
        for step in range(7):
            job.log.event("e", step=step)
        wait_until(lambda: job.log.stats().calls > 10)
        assert job.kinds() == ["unreachable"]
        assert "acknowledged up to 0 of 7" in job.diagnostics[0].message
        server.on_end = None
        assert job.log.flush(20).acknowledged
        assert job.kinds() == ["unreachable", "reached"]
        assert "7 events waited" in job.diagnostics[1].message


def test_a_flush_that_is_not_answered_ends_at_its_deadline(make_job: MakeJob) -> None:
    with FakeCollector() as collector:
        collector.hangs = True
        job = make_job(collector, ack_timeout_ms=600_000)
        job.log.event("e")
        result = job.log.flush(0.05)
        assert (result.acknowledged, result.pending) == (False, 1)
        result = job.log.close(0.05)
        assert (result.acknowledged, result.pending) == (False, 1)
        assert job.log.stats().dropped["closed"] == 1
        assert job.kinds() == ["undelivered"]
        assert invariant(job.log)


def test_a_full_buffer_drops_the_newcomer_or_the_newest_of_the_least(make_job: MakeJob) -> None:
    with FakeCollector() as collector:
        job = make_job(
            collector, buffer_bytes=65_536, request_bytes=8192, backoff_min_ms=50, backoff_max_ms=50
        )
        is_down = True

        def down(data: bytes) -> None:
            if is_down:
                raise RefusedCall(14, "down")

        collector.model.before_message = down

        def log_one(index: int, severity: int) -> None:
            job.log.event("e", step=index, severity=severity, text="x" * 1000)
            settle(job)

        for index in range(60):
            log_one(index, 5 if index % 2 == 0 else 9)
        for index in range(100, 130):
            log_one(index, 5)
        dropped = job.log.stats().dropped["buffer_full"]
        assert dropped > 0
        before = job.log.stats().buffered_events
        for index in range(200, 220):
            log_one(index, 17)
        stats = job.log.stats()
        assert abs(stats.buffered_events - before) <= 1, "one went for each that came"
        assert stats.buffered_bytes <= 65_536
        is_down = False
        steps = {event.step for event in job.events()}
        assert steps >= set(range(1, 60, 2)), "these were of a higher severity than what was dropped"
        assert steps >= set(range(200, 220)), "these came last and were the highest"
        debug = sorted(step for step in steps if step < 60 and step % 2 == 0)
        assert debug == list(range(0, 2 * len(debug), 2)), "the oldest were kept"
        assert "buffer_full" in job.kinds()
        assert invariant(job.log)
        assert len(job.fates) == job.log.stats().logged


def settle(job: LoggingJob) -> None:
    """Waits until everything logged is gathered, so that what happens next does not depend on the threads' turns."""
    core = job.log._core
    deadline = time.monotonic() + 10
    while core.intake.items and time.monotonic() < deadline:
        core.deliverer.notice_sealed()
        time.sleep(0.0005)
    assert not core.intake.items


def test_a_hundred_thousand_drops_are_a_few_ranges_and_no_memory(make_job: MakeJob) -> None:
    with FakeCollector() as collector:
        is_down = True

        def down(data: bytes) -> None:
            if is_down:
                raise RefusedCall(14, "down")

        collector.model.before_message = down
        job = make_job(collector, buffer_bytes=65_536, backoff_max_ms=100)
        for step in range(100_000):
            job.log.event("e", step=step)
        stats = job.log.stats()
        assert stats.dropped["buffer_full"] > 90_000
        assert max(map(len, job.log._intake.drops.values())) < 200
        # Of the time that the log calls took, which may be long.
        tries = collector.model.messages
        is_down = False
        assert job.log.flush(20).acknowledged
        assert len(job.fates) == 100_000
        assert collector.model.messages - tries < 100


def test_the_functions_of_the_module_use_the_logger_of_the_last_init(
    well_behaved: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sluice import create

    monkeypatch.setattr(create, "_default", [])
    assert sluice.default_logger() is None
    sluice.event("nowhere")
    assert sluice.flush() == sluice.FlushResult(True, 0)
    assert sluice.stats() is None
    with sluice.timer("nowhere"):
        pass
    log = sluice.init(endpoint=well_behaved.endpoint, run="module")
    assert sluice.default_logger() is log
    sluice.event("e", step=1, a=2.0)
    sluice.metrics({"a": 1}, step=2)
    sluice.debug("d")
    sluice.info("i", name="x")
    sluice.warning("w")
    sluice.error("e")
    try:
        raise ValueError
    except ValueError:
        sluice.exception("x")
    with sluice.timer("t"):
        pass
    assert sluice.flush(20).acknowledged
    stored = well_behaved.model.producers[log.producer_id.replace("-", "")]
    assert [event.name for event in stored.events] == ["e", "metrics", "log", "log", "log", "log", "log", "t"]
    stats = sluice.stats()
    assert stats is not None and stats.acknowledged == 8
    assert sluice.close(20).acknowledged


def test_a_producer_says_who_it_is(make_job: MakeJob) -> None:
    job = make_job(
        project="p",
        run="r",
        job="train",
        rank=3,
        local_rank=1,
        world_size=8,
        attempt=2,
        host="h",
        labels={"a": True},
    )
    job.log.event("e")
    job.events()
    producer = job.stored.producer
    assert (producer.project, producer.run_id, producer.job, producer.host) == ("p", "r", "train", "h")
    assert (producer.rank, producer.local_rank, producer.world_size, producer.attempt) == (3, 1, 8, 2)
    assert (producer.sdk_name, producer.sdk_version) == ("sluice-python", sluice.__version__)
    assert dict(producer.labels) == {"a": "true"}
    assert producer.id[6] >> 4 == 7
    assert abs(producer.start_time_unix_nano - time.time_ns()) < 60 * 10**9


def test_a_logger_that_is_pickled_is_itself_here_and_another_one_elsewhere(make_job: MakeJob) -> None:
    job = make_job(project="p")
    (revived, (producer_id, given)) = job.log.__reduce__()
    assert revived is revive
    assert {key: value for key, value in given.items() if key != "on_diagnostic"} == {
        "endpoint": job.collector.endpoint,
        "run": "test",
        "project": "p",
    }
    other = revive(producer_id, given)
    assert other.run == "test"
    assert other.producer_id != producer_id
    assert revive(producer_id, given) is other
    other.close(0)
    log = create_logger({"endpoint": job.collector.endpoint})
    assert pickle.loads(pickle.dumps(log)).run == log.run
    log.close(0)


def test_a_program_that_makes_up_names_and_keys_is_served(make_job: MakeJob) -> None:
    job = make_job()
    for index in range(5000):
        job.log.event(f"name.{index}", **{f"key_{index}": index, f"text_{index}": "x"})
    events = job.events()
    assert [event.metrics[f"key_{index}"] for index, event in enumerate(events)] == list(range(5000))


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts references")
def test_what_was_logged_is_let_go(make_job: MakeJob) -> None:
    job = make_job()

    class Text(str):
        __slots__ = ("__weakref__",)

    import weakref

    text = Text("x" * 100)
    reference = weakref.ref(text)
    job.log.event("e", text=text)
    del text
    assert reference() is None, "only its characters are kept"


class Stuck:
    """A deliverer whose thread hangs, as on a disk that does."""

    def __init__(self) -> None:
        self.counts = DeliveryCounts()
        self.notices = 0

    def notice_open(self) -> None:
        self.notices += 1

    def notice_sealed(self) -> None:
        pass

    def wait_for(self, target: int, timeout_s: float) -> bool:
        return False

    def marked(self, timeout_s: float) -> None:
        pass

    def stop(self, timeout_s: float) -> None:
        pass


def stuck_core() -> Core:
    buffer = RequestBuffer(
        buffer_bytes=65_536,
        request_bytes=8192,
        reader=EventReader(),
        encode=encode_blocks,
        clock=SYSTEM_CLOCK,
    )
    buffer.intake.gathered_s -= 3600
    return Core(bytes(16), Outlet(buffer, Stuck(), None))


def logger_of(make: Callable[[], Core]) -> Logger:
    settings = resolve_options({"buffer_bytes": 65_536}, variables={}, host="h", new_run=lambda: "r")
    return Logger(settings, make, Diagnostics(lambda diagnostic: None))


def test_a_thread_that_goes_idle_in_the_middle_of_a_log_call_is_woken() -> None:
    core = stuck_core()
    log = logger_of(lambda: core)
    log.event("e", a=1.0)
    intake = core.intake

    class Slow(list[Any]):
        def extend(self, values: Any) -> None:
            intake.limit = 0
            super().extend(values)

    intake.items, intake.limit = Slow(intake.items), 1000
    log.event("e", a=1.0)
    assert isinstance(core.deliverer, Stuck)
    assert core.deliverer.notices == 2


def test_a_child_that_cannot_have_a_producer_of_its_own_logs_nothing_of_its_parents() -> None:
    cores = [stuck_core()]
    log = logger_of(lambda: cores.pop())
    log.event("parent")
    with pytest.raises(IndexError):
        log.after_fork()
    log.event("child")
    assert log.stats().dropped["closed"] == 1
    assert log._intake.events == 1


def test_while_the_sending_thread_hangs_memory_is_bounded_and_what_is_dropped_is_counted() -> None:
    log = logger_of(stuck_core)
    for index in range(5000):
        log.event("e", step=index, a=1.0)
        log.info("x" * 1000)
    stats = log.stats()
    assert stats.logged == 10_000
    assert stats.buffered_events == log._intake.events <= 256
    assert stats.buffered_bytes <= 65_536 + 1024
    assert stats.dropped["buffer_full"] == 10_000 - stats.buffered_events
    result = log.close(0)
    assert (result.acknowledged, result.pending) == (False, stats.buffered_events)
    assert log.stats().dropped["closed"] == stats.buffered_events
    assert invariant(log)


def test_what_a_collector_has_lost_again_is_counted_once_though_some_of_it_was_lost_before(
    job: LoggingJob,
) -> None:
    for step in range(5):
        job.log.event("e", step=step)
    for _ in range(3):
        job.log.event("e", text="x" * 2**21)
    job.log.event("e", step=5)
    assert job.log.flush(20).acknowledged
    # As a collector whose disk was restored from a copy of long ago.
    for following in (10, 11):
        job.stored.durable = 1
        for number in range(2, following):
            del job.fates[number]
        job.log.event("e")
        assert job.log.flush(20).acknowledged
        refused = following - 5
        stats = job.log.stats()
        counts = (stats.acknowledged, stats.dropped["too_large"], stats.dropped["refused"])
        assert counts == (2, 3, refused)
        assert invariant(job.log)
        assert job.stored.losses == {"LOSS_REASON_REFUSED": refused, "LOSS_REASON_TOO_LARGE": 3}
