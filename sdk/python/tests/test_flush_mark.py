"""When the collector is asked to commit what it has, and when not. The model holds marks to messages of their own."""

from __future__ import annotations

from .support.collector_model import RefusedCall
from .support.model_job import ModelJob, ModelSettings
from .support.model_transport import Faults


def test_what_is_sent_by_itself_asks_for_nothing() -> None:
    job = ModelJob()
    for second in range(20):
        job.log(second=second)
        job.loop.advance(1000)
    job.loop.advance(1000)
    assert job.buffer.acknowledged == 20
    assert job.model.marks == []


def test_a_flush_ends_the_call_that_carries_the_last_of_it_with_a_mark_and_no_other_call() -> None:
    job = ModelJob(ModelSettings(request_bytes=1024, call_bytes=4096))
    for number in range(1000):
        job.log(number=number, text=f"some more text {number}")
    flushed = job.flush()
    job.loop.advance(1000)
    assert flushed == [True]
    assert job.model.calls > 5
    assert job.model.marks == [(job.model.calls, 1000, False)]


def test_close_marks_as_flush_does_and_what_a_failed_call_carried_is_marked_when_it_comes_again() -> None:
    job = ModelJob(faults=Faults(loses_answer=lambda: job.model.calls == 1))
    job.log()
    closed = job.close()
    job.loop.advance(1000)
    assert closed == [True]
    assert [mark.call for mark in job.model.marks] == [1, 2]
    job.stop()
    assert job.loop.timers == 0


def test_a_flush_of_what_is_acknowledged_already_answers_at_once_and_a_mark_goes_alone_once() -> None:
    job = ModelJob()
    assert job.flush() == [True]
    job.loop.advance(5000)
    assert job.model.calls == 0, "nothing was logged"
    job.log()
    job.loop.advance(5000)
    calls = job.model.calls
    assert job.flush() == [True]
    assert job.model.marks == [], "nobody waited for it"
    job.loop.advance(5000)
    assert job.model.marks == [(calls + 1, 1, True)]
    assert job.flush() == [True]
    assert job.close() == [True]
    job.loop.advance(5000)
    assert job.model.calls == calls + 1, "nothing has come since"
    assert job.transport.most_open_calls == 1


def test_a_flush_that_finds_its_events_on_a_call_that_asks_for_its_answer_marks_them_behind_it() -> None:
    settings = ModelSettings(call_age_ms=0, is_call_age_given=True)
    job = ModelJob(settings, Faults(delay_ms=lambda: 100))
    job.log()
    job.loop.advance(350)
    assert job.model.calls == 1
    flushed = job.flush()
    job.loop.advance(50)
    assert flushed == [True]
    job.loop.advance(1000)
    assert job.model.marks == [(2, 1, True)]
    assert job.transport.most_open_calls == 1


def test_a_flush_of_events_that_are_on_an_open_call_ends_that_call_with_a_mark_at_once() -> None:
    job = ModelJob(ModelSettings(call_age_ms=60_000, is_call_age_given=True))
    job.log()
    first = job.flush()
    job.loop.advance(100)
    assert first == [True]
    job.log()
    job.loop.advance(1000)
    assert len(job.model.events) == 2, "it is on a call that stays open"
    second = job.flush()
    job.loop.advance(100)
    assert second == [True]
    assert [mark.durable for mark in job.model.marks] == [1, 2]


def test_a_mark_alone_that_fails_is_not_sent_again_says_nothing_and_costs_no_event_anything() -> None:
    job = ModelJob()
    job.log()
    job.loop.advance(5000)

    def refuse(data: bytes) -> None:
        raise RefusedCall(3, "what is that")

    job.model.before_message = refuse
    calls = job.model.calls
    job.flush()
    job.loop.advance(60_000)
    assert job.model.calls == calls + 1
    job.model.before_message = None
    job.log()
    flushed = job.flush()
    job.loop.advance(100)
    assert flushed == [True]
    assert len(job.model.only().fates) == 2
    assert job.reports == []


def test_events_go_on_when_a_mark_alone_hangs() -> None:
    hangs = False
    job = ModelJob(ModelSettings(ack_timeout_ms=1000), Faults(hangs=lambda: hangs))
    job.log()
    job.loop.advance(5000)
    hangs = True
    job.flush()
    job.log()
    job.loop.advance(500)
    hangs = False
    job.loop.advance(2000)
    assert job.buffer.acknowledged == 2
    assert len(job.model.only().fates) == 2
