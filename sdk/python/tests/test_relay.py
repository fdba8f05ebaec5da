"""Calls that another process makes, for a child that cannot use gRPC itself."""

from __future__ import annotations

import os
import sys

import pytest

from sluice.delivery.loop import Loop
from sluice.delivery.relay_transport import RelayTransport, decode_outcome, encode_outcome, interpreter
from sluice.delivery.transport import Acknowledgment, CallFailure
from sluice.endpoint import Endpoint

from .support.collector_model import RefusedCall
from .support.fake_collector import FakeCollector
from .support.plain_delivery import PlainDelivery, PlainSettings
from .support.plain_source import wait_until


def relayed(
    endpoint: str, settings: PlainSettings | None = None
) -> tuple[PlainDelivery, list[RelayTransport]]:
    made: list[RelayTransport] = []

    def make(endpoint: Endpoint, loop: Loop) -> RelayTransport:
        made.append(RelayTransport(target=endpoint.target, is_tls=endpoint.tls, loop=loop))
        return made[0]

    return PlainDelivery(endpoint, settings, make_transport=make), made


def test_events_arrive_in_order_and_are_marked() -> None:
    with FakeCollector() as server, relayed(server.endpoint)[0] as job:
        job.log(250, body="x" * 10_000)
        assert job.flush()
        assert [event.step for event in server.model.events] == list(range(1, 251))
        assert [mark.durable for mark in server.model.marks] == [250]
        assert job.deliverer.counts.last_error is None


def test_what_a_collector_says_comes_through() -> None:
    def refuse(data: bytes) -> None:
        if b"poison" in data:
            raise RefusedCall(3, "poison")

    with FakeCollector() as server, relayed(server.endpoint)[0] as job:
        server.model.before_message = refuse
        job.log(10)
        job.log(10, body="poison")
        assert job.flush()
        stored = server.model.only()
        assert stored.losses == {"LOSS_REASON_REFUSED": 10}
        # As if it had got what follows, and somebody else had sent it.
        stored.durable = 25
        job.log(20)
        assert job.flush()
        assert "FAILED_PRECONDITION" in str(job.deliverer.counts.last_error)
        assert stored.durable == 40


def test_a_relay_that_is_killed_costs_a_resend_and_no_event() -> None:
    settings = PlainSettings(call_age_ms=60_000)
    with FakeCollector() as server:
        job, transports = relayed(server.endpoint, settings)
        with job:
            job.log(15)
            wait_until(lambda: server.model.messages > 0)
            relay = transports[0]._relay
            assert relay is not None
            relay.process.kill()
            wait_until(lambda: job.deliverer.counts.last_error is not None)
            assert "has ended with -9" in str(job.deliverer.counts.last_error)
            assert job.flush()
            assert [event.step for event in server.model.events] == list(range(1, 16))


def test_a_collector_that_hangs_is_given_up_and_its_relay_with_it() -> None:
    with FakeCollector() as server:
        job, transports = relayed(server.endpoint, PlainSettings(ack_timeout_ms=5000))
        with job:
            server.hangs = True
            job.log(5)
            wait_until(lambda: job.deliverer.counts.last_error is not None)
            server.hangs = False
            assert job.flush()
            relay = transports[0]._relay
            assert relay is not None
        with pytest.raises(ProcessLookupError):
            os.kill(relay.process._pid, 0)


def test_without_a_python_to_run_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for executable in ("", "/usr/bin/uwsgi"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(RuntimeError, match="no Python"):
            interpreter()


def test_outcomes_are_read_as_they_are_written() -> None:
    for outcome in (Acknowledgment(7, 1, 2, "why", 50), CallFailure(9, "no", 5, None)):
        assert decode_outcome(encode_outcome(outcome)) == outcome
    assert isinstance(decode_outcome(b"{}"), CallFailure)
