"""How old events get before they are sent, and who decides that."""

from __future__ import annotations

from dataclasses import replace

from sluice.delivery.pace import Pace

from .support.model_job import ModelJob, ModelSettings

DEFAULTS = ModelSettings()


def test_until_a_collector_has_answered_a_call_asks_at_once_and_then_defaults_hold() -> None:
    pace = Pace(DEFAULTS)
    assert (pace.request_age_ms, pace.call_age_ms) == (200, 0)
    pace.notice_answer(0)
    assert (pace.request_age_ms, pace.call_age_ms) == (200, 1000)


def test_what_the_collector_asks_for_is_done_up_to_a_limit_until_it_asks_no_more() -> None:
    pace = Pace(DEFAULTS)
    pace.notice_answer(50)
    assert (pace.request_age_ms, pace.call_age_ms) == (500, 1000), "no more than a call a second"
    pace.notice_answer(60_000)
    assert (pace.request_age_ms, pace.call_age_ms) == (500, 5000)
    pace.notice_answer(2250)
    assert (pace.request_age_ms, pace.call_age_ms) == (450, 2250), (
        "events leave the process within half a second"
    )
    pace.notice_answer(0)
    assert (pace.request_age_ms, pace.call_age_ms) == (200, 1000)


def test_what_the_user_named_is_never_changed() -> None:
    named = Pace(replace(DEFAULTS, call_age_ms=700, is_call_age_given=True))
    assert (named.request_age_ms, named.call_age_ms) == (200, 700)
    named.notice_answer(50)
    assert (named.request_age_ms, named.call_age_ms) == (200, 700)
    request = Pace(replace(DEFAULTS, request_age_ms=10, is_request_age_given=True))
    request.notice_answer(50)
    assert (request.request_age_ms, request.call_age_ms) == (10, 1000)


def test_a_collector_that_asks_for_fewer_calls_gets_fewer() -> None:
    calls = []
    for asked_ms in (0, 100, 5000):
        job = ModelJob()
        job.model.call_age_ms = asked_ms
        for _ in range(300):
            job.log()
            job.loop.advance(100)
        calls.append(job.model.calls)
    assert calls[2] < calls[1] <= calls[0]


def test_a_job_that_logs_now_and_then_is_seen_after_pauses_of_any_length() -> None:
    job = ModelJob()
    for pause_ms in (1, 150, 250, 4_999, 5_001, 60_000, 3_600_000):
        job.log()
        job.loop.advance(pause_ms)
    job.loop.advance(2000)
    assert job.buffer.acknowledged == 7
    job.loop.advance(60_000)
    assert job.loop.timers == 0, "a job that is silent is not looked after"
