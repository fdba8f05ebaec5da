"""A job in one thread whose time is the test's: a logger's buffer and delivery against the collector's model."""

from __future__ import annotations

import random as _random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sluice._generated import collector_pb2 as pb
from sluice.buffer.intake import CLOSED_TO_ALL, PER_EVENT
from sluice.buffer.request_buffer import RequestBuffer
from sluice.delivery.delivery import Delivery, ReportKind, Waiter
from sluice.encode.block import encode_blocks
from sluice.encode.event import encode_events
from sluice.encode.event_reader import EventReader
from sluice.encode.head import Head
from sluice.limits import WAKE_EVENTS

from .collector_model import CollectorModel
from .fake_loop import FakeLoop
from .model_transport import Faults, ModelTransport

PRODUCER = pb.LogRequest(producer=pb.Producer(id=bytes(range(16)))).SerializeToString()


@dataclass(frozen=True)
class ModelSettings:
    buffer_bytes: int = 64 * 1024 * 1024
    request_bytes: int = 1024 * 1024
    request_age_ms: int = 200
    call_age_ms: int = 1000
    is_request_age_given: bool = False
    is_call_age_given: bool = False
    call_bytes: int = 4 * 1024 * 1024
    ack_timeout_ms: int = 30_000
    backoff_min_ms: int = 100
    backoff_max_ms: int = 10_000
    encoding: Literal["blocks", "rows"] = "blocks"


class ModelJob:
    def __init__(
        self,
        settings: ModelSettings | None = None,
        faults: Faults | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        settings = settings or ModelSettings()
        self.loop = FakeLoop()
        self.model = CollectorModel()
        self.reports: list[tuple[ReportKind, str]] = []
        self.transport = ModelTransport(self.model, self.loop, faults or Faults())
        self.buffer = RequestBuffer(
            buffer_bytes=settings.buffer_bytes,
            request_bytes=settings.request_bytes,
            reader=EventReader(),
            encode=encode_events if settings.encoding == "rows" else encode_blocks,
            clock=self.loop,
        )
        self.delivery = Delivery(
            settings=settings,
            endpoint="model",
            source=self.buffer,
            producer=PRODUCER,
            transport=self.transport,
            loop=self.loop,
            report=self._report,
            random=random,
            watching=self.buffer.set_watched,
        )
        #: Events and losses, gathered or not.
        self.logged = 0

    def _report(self, kind: ReportKind, message: Callable[[], str]) -> bool:
        self.reports.append((kind, message()))
        return True

    def log(self, name: str = "e", severity: int = 9, **fields: object) -> None:
        """As `Logger._log`, with the test's clock, and a delivery's thread that is as fast as can be."""
        intake = self.buffer.intake
        self.logged += 1
        if severity > intake.closed_to and not intake.has_place():
            self.delivery.notice_sealed()
            self.loop.run_posted()
        if severity <= intake.closed_to or not intake.has_place():
            intake.drop("buffer_full")
        else:
            size = sum(len(str(value)) for value in fields.values())
            intake.count_text(size)
            intake.items.extend((self.loop.monotonic_ns(), Head(name, severity), dict(fields)))
        if intake.closed_to == CLOSED_TO_ALL:
            return
        if intake.limit == 0 and intake.closed_to == 0:
            intake.limit = PER_EVENT * WAKE_EVENTS
            self.delivery.notice_open()
        elif len(intake.items) >= intake.limit:
            if intake.closed_to == 0:
                intake.limit = intake.items_max
            self.delivery.notice_sealed()

    def flush(self) -> list[bool]:
        """Begins to wait for everything that was logged; what it comes to stands in the list then."""
        answers: list[bool] = []
        self.loop.post(lambda: self.delivery.wait_for(Waiter(self.logged, answers.append)))
        self.loop.run_posted()
        return answers

    def close(self) -> list[bool]:
        """As a logger's close, up to its deadline: flushes, and waits for the mark."""
        answers: list[bool] = []
        self.delivery.wait_for(
            Waiter(self.logged, lambda _: self.delivery.wait_for_mark(Waiter(0, answers.append)))
        )
        return answers

    def stop(self) -> None:
        self.loop.post(self.delivery.stop)
        self.loop.run_posted()
        self.buffer.close()

    def assert_balanced(self) -> None:
        buffer = self.buffer
        assert buffer.logged == buffer.acknowledged + sum(buffer.dropped.values()) + buffer.buffered_events
