"""Composition root of everything behind a logger's log calls: its buffer, its delivery, its spool."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sluice.buffer.request_buffer import RequestBuffer
from sluice.diagnostics import Diagnostics
from sluice.limits import THREAD_STOP_MS

from .deliverer import ThreadedDeliverer
from .delivery import Delivery, DeliverySettings
from .grpc_transport import make_transport
from .source import Deliverer, RequestSource
from .thread import DeliveryThread

if TYPE_CHECKING:
    from sluice.endpoint import Endpoint
    from sluice.options import Settings
    from sluice.spool.logger_spool import LoggerSpool


class Outlet:
    """What takes a logger's events away, and what of it a logger needs. Everything may be called on any thread."""

    def __init__(self, buffer: RequestBuffer, deliverer: Deliverer, spool: LoggerSpool | None) -> None:
        self.buffer = buffer
        self.deliverer = deliverer
        self._spool = spool

    @property
    def has_spool(self) -> bool:
        return self._spool is not None

    @property
    def spooled_bytes(self) -> int:
        """Bytes of the spool's files; 0 without a spool."""
        return 0 if self._spool is None else self._spool.bytes

    def close(self, is_acknowledged: bool) -> None:
        """Ends what is under way, after the last `wait_for`. What is not acknowledged stays in the spool if there is
        one, for which it waits a few seconds at most, and else is counted as lost. No log call may follow."""
        if self._spool is not None:
            self._spool.close(is_acknowledged)
        else:
            self.deliverer.stop(THREAD_STOP_MS / 1000)
            self.buffer.close()


def open_outlet(
    settings: Settings,
    *,
    producer_id: bytes,
    producer: bytes,
    diagnostics: Diagnostics,
    make_buffer: Callable[..., RequestBuffer],
) -> Outlet:
    """Puts the parts together; nothing runs before the first event.

    producer_id: 16 bytes.
    producer:    the field that goes in front of a call's first message.
    make_buffer: makes the buffer, given the class to make (`RequestBuffer` or a subclass) and further keyword
                 arguments for it.
    """
    if settings.spool_dir is None:
        buffer = make_buffer(RequestBuffer)
        deliverer = make_deliverer(
            settings, settings.endpoint, buffer, producer, diagnostics, watching=buffer.set_watched
        )
        return Outlet(buffer, deliverer, None)
    # Here, so that a program without a spool does not pay for it at its start.
    from sluice.spool.logger_spool import LoggerSpool

    spool = LoggerSpool(
        settings,
        producer_id=producer_id,
        producer=producer,
        diagnostics=diagnostics,
        make_buffer=make_buffer,
    )
    return Outlet(spool.buffer, spool.deliverer, spool)


def make_deliverer(
    settings: DeliverySettings,
    endpoint: Endpoint,
    source: RequestSource,
    producer: bytes,
    diagnostics: Diagnostics,
    watching: Callable[[bool], None] = lambda is_watching: None,
) -> ThreadedDeliverer:
    """A delivery to a collector on a thread of its own."""
    thread = DeliveryThread("sluice-delivery", report_bug=bug_reporter(diagnostics))
    delivery = Delivery(
        settings=settings,
        endpoint=endpoint.target,
        source=source,
        producer=producer,
        transport=make_transport(endpoint, thread),
        loop=thread,
        report=diagnostics.report,
        watching=watching,
    )
    return ThreadedDeliverer(delivery, thread)


def bug_reporter(diagnostics: Diagnostics) -> Callable[[BaseException], None]:
    """Says that the SDK has a fault."""

    def report(error: BaseException) -> None:
        diagnostics.report("bug", lambda: f"the SDK has a fault: {error!r}; please report it")

    return report
