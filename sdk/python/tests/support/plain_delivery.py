"""A delivery of plain events over real gRPC, as a logger would put it together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from sluice.delivery.deliverer import ThreadedDeliverer
from sluice.delivery.delivery import Delivery, ReportKind
from sluice.delivery.grpc_transport import make_transport
from sluice.delivery.loop import Loop
from sluice.delivery.thread import DeliveryThread
from sluice.delivery.transport import Transport
from sluice.endpoint import Endpoint

from .plain_source import PRODUCER, PlainSource


@dataclass(frozen=True)
class PlainSettings:
    request_age_ms: int = 20
    call_age_ms: int = 50
    is_request_age_given: bool = True
    is_call_age_given: bool = True
    call_bytes: int = 4 * 1024 * 1024
    ack_timeout_ms: int = 30_000
    backoff_min_ms: int = 10
    backoff_max_ms: int = 100


class PlainDelivery:
    """Use as a context manager."""

    def __init__(
        self,
        endpoint: str,
        settings: PlainSettings | None = None,
        *,
        events_per_request: int = 10,
        producer: bytes = PRODUCER,
        make_transport: Callable[[Endpoint, Loop], Transport] = make_transport,
    ) -> None:
        self.reports: list[tuple[ReportKind, str]] = []
        self.bugs: list[BaseException] = []
        self.source = PlainSource(events_per_request)
        self.thread = DeliveryThread("test-delivery", report_bug=self.bugs.append)
        self.delivery = Delivery(
            settings=settings or PlainSettings(),
            endpoint=endpoint,
            source=self.source,
            producer=producer,
            transport=make_transport(Endpoint(endpoint, False), self.thread),
            loop=self.thread,
            report=self._report,
        )
        self.deliverer = ThreadedDeliverer(self.delivery, self.thread)

    def _report(self, kind: ReportKind, message: Callable[[], str]) -> bool:
        self.reports.append((kind, message()))
        return True

    def log(self, count: int = 1, body: str = "") -> None:
        for _ in range(count):
            if self.source.log(body=body) == "sealed":
                self.deliverer.notice_sealed()
            else:
                self.deliverer.notice_open()

    def flush(self, timeout_s: float = 20.0) -> bool:
        return self.deliverer.wait_for(self.source.logged, timeout_s)

    def __enter__(self) -> PlainDelivery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.deliverer.stop(5)
        assert self.bugs == []
