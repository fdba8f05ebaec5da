"""The delivery over real gRPC, against a collector that misbehaves."""

from __future__ import annotations

import _thread
import socketserver
import threading
from concurrent import futures

import grpc
import pytest

from sluice._generated import collector_pb2 as pb

from .support.collector_model import RESOURCE_EXHAUSTED, UNAVAILABLE, RefusedCall, overloaded
from .support.collector_process import CollectorProcess
from .support.fake_collector import FakeCollector
from .support.plain_delivery import PlainDelivery, PlainSettings
from .support.plain_source import wait_until


def steps(server: FakeCollector) -> list[int]:
    return [event.step for event in server.model.events]


def test_what_is_logged_arrives_in_order_without_anybody_asking() -> None:
    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        job.log(25)
        wait_until(lambda: job.source.acknowledged == 25)
        assert steps(server) == list(range(1, 26))
        assert server.model.marks == []
        assert job.deliverer.counts.resends == 0


def test_an_event_after_a_long_pause_is_seen_too() -> None:
    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        job.delivery._active_ms = -1e9
        job.log(1)
        wait_until(lambda: job.source.acknowledged == 1)
        job.delivery._active_ms = -1e9
        wait_until(lambda: not job.delivery._is_watching)
        job.log(1)
        wait_until(lambda: job.source.acknowledged == 2)
        assert steps(server) == [1, 2]


def test_flush_returns_once_all_is_acknowledged_and_marks_it() -> None:
    settings = PlainSettings(request_age_ms=60_000, call_age_ms=60_000)
    with FakeCollector() as server, PlainDelivery(server.endpoint, settings) as job:
        job.log(25)
        assert job.flush()
        assert steps(server) == list(range(1, 26))
        assert [mark.durable for mark in server.model.marks] == [25]


def test_a_collector_that_is_down_gets_everything_once_it_is_there() -> None:
    with FakeCollector() as server:
        port = server.port
    with PlainDelivery(f"127.0.0.1:{port}") as job:
        job.log(50)
        assert not job.flush(0.5)
        wait_until(lambda: "UNAVAILABLE" in str(job.deliverer.counts.last_error))
        with FakeCollector(port=port) as server:
            assert job.flush()
            assert steps(server) == list(range(1, 51))
        assert [kind for kind, _ in job.reports][:1] == ["unreachable"]


class Http(socketserver.BaseRequestHandler):
    """What ClickHouse answers to HTTP/2."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: Close\r\n\r\n")


def test_what_answers_and_speaks_no_grpc_is_named_and_what_to_check() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Http) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint = f"127.0.0.1:{server.server_address[1]}"
        with PlainDelivery(endpoint) as job:
            job.log(5)
            said = (
                f"what answers at {endpoint} does not speak gRPC: it is no Sluice collector; check the host"
            )
            wait_until(lambda: said in str(job.deliverer.counts.last_error))
            assert "(UNAVAILABLE: " in str(job.deliverer.counts.last_error), "gRPC's words come last"
            wait_until(lambda: any(said in message for _, message in job.reports))
        server.shutdown()
        thread.join()


def test_a_grpc_server_that_is_no_collector_is_named() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with PlainDelivery(f"127.0.0.1:{port}") as job:
        job.log(5)
        wait_until(lambda: len(job.reports) > 0)
        kind, message = job.reports[0]
        assert kind == "refused"
        assert f"what answers at 127.0.0.1:{port} speaks gRPC, but not Sluice's" in message
        assert "(UNIMPLEMENTED: " in message
    server.stop(0)


def test_a_collector_that_restarts_gets_every_event_once() -> None:
    server = FakeCollector()
    with PlainDelivery(server.endpoint) as job:
        for _ in range(5):
            job.log(33)
            server.stop()
            server = FakeCollector(server.model, server.port)
        job.log(33)
        assert job.flush()
        assert steps(server) == list(range(1, 199))
    server.stop()


def test_a_collector_that_hangs_is_given_up_and_gets_it_again_on_another_connection() -> None:
    with FakeCollector() as server, PlainDelivery(server.endpoint, PlainSettings(ack_timeout_ms=500)) as job:
        server.hangs = True
        job.log(25)
        assert not job.flush(0.1)
        wait_until(lambda: "no progress" in str(job.deliverer.counts.last_error))
        server.hangs = False
        assert job.flush()
        assert steps(server) == list(range(1, 26))
        assert job.deliverer.counts.resends > 0


def test_an_answer_that_is_lost_leads_to_duplicates_and_nothing_is_stored_twice() -> None:
    answers = iter([True, True, False])

    def lose(response: pb.LogResponse) -> pb.LogResponse:
        if next(answers, False):
            raise RefusedCall(UNAVAILABLE, "answer lost")
        return response

    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        server.on_end = lose
        job.log(25)
        assert job.flush()
        assert steps(server) == list(range(1, 26))
        assert job.deliverer.counts.duplicates > 0


def test_a_collector_that_expects_a_later_number_gets_it_from_there() -> None:
    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        job.log(10)
        assert job.flush()
        stored = server.model.only()
        # As if it had got the next request, and its answer was lost on the way, and so was the duplicate.
        stored.durable = 20
        stored.fates.update(dict.fromkeys(range(11, 21), "LOSS_REASON_UNSPECIFIED"))
        job.log(15)
        assert job.flush()
        assert [event.step for event in server.model.events] == [*range(1, 11), *range(21, 26)]


def test_a_collector_that_forgot_a_part_hears_that_it_is_lost() -> None:
    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        job.log(20)
        assert job.flush()
        stored = server.model.only()
        stored.durable = 15
        for number in range(16, 21):
            del stored.fates[number]
        job.log(10)
        assert job.flush()
        assert stored.losses == {"LOSS_REASON_REFUSED": 5}
        assert sorted(stored.fates) == list(range(1, 31))
        assert [kind for kind, _ in job.reports] == ["rewind"]


def test_a_request_that_is_refused_for_good_is_found_and_lost_alone() -> None:
    def refuse(data: bytes) -> None:
        if b"poison" in data:
            raise RefusedCall(3, "poison")

    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        server.model.before_message = refuse
        job.log(35)
        job.log(1, body="poison")
        job.log(30)
        assert job.flush()
        stored = server.model.only()
        assert stored.losses == {"LOSS_REASON_REFUSED": 10}
        assert len(stored.fates) == 66
        assert job.source.dropped["refused"] == 10


def test_an_overloaded_collector_gets_the_pause_that_it_asks_for() -> None:
    refusals = iter([overloaded(150), overloaded(150)])
    times = []

    def refuse() -> None:
        times.append(threading.get_ident())
        for refusal in refusals:
            raise refusal

    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        server.on_call = refuse
        job.log(5)
        assert job.flush()
        assert steps(server) == [1, 2, 3, 4, 5]
        assert [kind for kind, _ in job.reports] == ["overloaded", "overloaded"]
        assert len(times) == 3, "nobody's hurry shortens it"


def test_a_request_that_is_exhausting_again_and_again_without_a_delay_is_given_up_alone() -> None:
    def refuse(data: bytes) -> None:
        if b"big" in data:
            raise RefusedCall(RESOURCE_EXHAUSTED, "too big")

    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        server.model.before_message = refuse
        job.log(10, body="big")
        job.log(10)
        assert job.flush()
        assert server.model.only().losses == {"LOSS_REASON_REFUSED": 10}
        assert len(server.model.events) == 10


def test_a_hundred_threads_that_flush_at_once_all_get_their_answer() -> None:
    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        answers: list[bool] = []

        def work() -> None:
            job.log(20)
            answers.append(job.flush())

        threads = [threading.Thread(target=work) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [True] * 100
        assert steps(server) == list(range(1, 2001))


def test_stop_frees_those_who_wait_and_returns_though_the_collector_hangs() -> None:
    with FakeCollector() as server:
        server.hangs = True
        with PlainDelivery(server.endpoint) as job:
            job.log(5)
            answers: list[bool] = []
            waiting = threading.Thread(target=lambda: answers.append(job.flush(60)))
            waiting.start()
            wait_until(lambda: server.model.calls == 1)
            job.deliverer.stop(10)
            waiting.join(10)
            assert answers == [False]
            job.deliverer.stop(10)


def test_a_flush_from_within_the_delivery_itself_returns_at_once() -> None:
    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        job.log(1)
        answers: list[bool] = []
        job.thread.post(lambda: answers.append(job.flush(60)))
        wait_until(lambda: answers == [False])


def test_a_fault_of_the_sdk_is_reported_and_costs_a_pause_and_no_event() -> None:
    with FakeCollector() as server, PlainDelivery(server.endpoint) as job:
        freeze, faults = job.source.freeze, iter([True, True])

        def faulty(with_open: bool) -> bool:
            if next(faults, False):
                raise RuntimeError("a fault, as meant")
            return freeze(with_open)

        job.source.freeze = faulty  # type: ignore[method-assign]
        job.log(25)
        assert job.flush()
        assert steps(server) == list(range(1, 26))
        assert len(job.bugs) == 2
        job.bugs.clear()


def test_where_no_thread_can_be_made_for_a_call_requests_go_one_a_call_and_the_last_is_marked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start_none(run: object, arguments: object) -> int:
        raise RuntimeError("can't start new thread")

    with CollectorProcess() as collector:
        with PlainDelivery(collector.endpoint) as job:
            job.log(1)
            wait_until(lambda: job.source.acknowledged == 1)
            monkeypatch.setattr(_thread, "start_new_thread", start_none)
            job.log(34)
            assert job.flush()
            job.deliverer.marked(5)
            monkeypatch.undo()
            job.log(5)
            assert job.flush()
            assert job.deliverer.counts.last_error is None
        (producer,) = collector.stop()["producers"].values()
        assert [event["step"] for event in producer["events"]] == list(range(1, 41))
