"""What a logger consists of, for one process: made anew after a fork."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from sluice.buffer.loss import LossReason
from sluice.buffer.request_buffer import RequestBuffer
from sluice.clock import Clock
from sluice.delivery.outlet import Outlet, open_outlet
from sluice.diagnostics import Diagnostics
from sluice.encode.block import encode_blocks
from sluice.encode.event import encode_events
from sluice.encode.event_reader import EventReader
from sluice.encode.producer import ProducerFacts, encode_producer
from sluice.limits import EVENT_BYTES
from sluice.options import Settings
from sluice.uuid7 import uuid7, uuid_text
from sluice.version import SDK_NAME, SDK_VERSION


class Core:
    """A producer: its id, its buffer, and who delivers for it. Nothing is started before something is logged."""

    def __init__(self, producer_id: bytes, outlet: Outlet) -> None:
        self.producer_id = uuid_text(producer_id)
        self.outlet = outlet
        self.buffer = outlet.buffer
        self.intake = outlet.buffer.intake
        self.deliverer = outlet.deliverer


def make_core(
    settings: Settings, clock: Clock, diagnostics: Diagnostics, producer_id: bytes | None = None
) -> Core:
    """Composition root of a logger, for the process that calls it."""
    start_ns = clock.wall_ns()
    identity = producer_id or uuid7(start_ns // 1_000_000)
    producer = encode_producer(
        ProducerFacts(
            id=identity,
            project=settings.project,
            run=settings.run,
            job=settings.job,
            host=settings.host,
            pid=os.getpid(),
            rank=settings.rank,
            local_rank=settings.local_rank,
            world_size=settings.world_size,
            attempt=settings.attempt,
            sdk_name=SDK_NAME,
            sdk_version=SDK_VERSION,
            labels=settings.labels,
            start_ns=start_ns,
        )
    )
    made: list[Core] = []

    def last_error() -> str | None:
        return made[0].deliverer.counts.last_error if made else None

    def make_buffer(kind: Callable[..., RequestBuffer] = RequestBuffer, **more: Any) -> RequestBuffer:
        return kind(
            buffer_bytes=settings.buffer_bytes,
            request_bytes=settings.request_bytes,
            reader=EventReader(),
            encode=encode_events if settings.encoding == "rows" else encode_blocks,
            clock=clock,
            noticed=_report_drops(settings, diagnostics, last_error),
            field_failed=_report_fields(diagnostics),
            **more,
        )

    outlet = open_outlet(
        settings, producer_id=identity, producer=producer, diagnostics=diagnostics, make_buffer=make_buffer
    )
    made.append(Core(identity, outlet))
    return made[0]


def _report_drops(
    settings: Settings, diagnostics: Diagnostics, last_error: Callable[[], str | None]
) -> Callable[[LossReason, int], None]:
    def full() -> str:
        error = last_error()
        because = (
            "faster than it is sent" if error is None else f"and the collector does not take it: {error}"
        )
        return (
            f"events are dropped: more than {settings.buffer_bytes} bytes (buffer_bytes) are logged {because}"
        )

    def report(reason: LossReason, count: int) -> None:
        if reason == "buffer_full":
            diagnostics.report("buffer_full", full)
        elif reason == "too_large":
            diagnostics.report(
                "too_large",
                lambda: (
                    f"{count} events are larger than {EVENT_BYTES} bytes and lost; "
                    "log large data elsewhere and its place here"
                ),
            )
        elif reason == "encoding":
            diagnostics.report("encoding", lambda: f"{count} events could not be encoded and are lost")

    return report


def _report_fields(diagnostics: Diagnostics) -> Callable[[str], None]:
    def report(problem: str) -> None:
        diagnostics.report("encoding", lambda: f"{problem}; such are counted in stats().field_errors")

    return report
