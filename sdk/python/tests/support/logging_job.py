"""A logger and a fake collector in the test's own process."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from sluice import Diagnostic, Logger
from sluice._generated import collector_pb2 as pb
from sluice.create import create_logger

from .collector_model import Fate, StoredProducer
from .fake_collector import FakeCollector


class LoggingJob:
    """A logger of its own for each test, and what has become of its events. Use as a context manager."""

    def __init__(self, collector: FakeCollector, **options: object) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.collector = collector
        given: dict[str, object] = {"endpoint": collector.endpoint, "run": "test"}
        self.log: Logger = create_logger({**given, "on_diagnostic": self.diagnostics.append, **options})

    @property
    def stored(self) -> StoredProducer:
        known = self.collector.model.producers.get(self.log.producer_id.replace("-", ""))
        return known if known is not None else StoredProducer(pb.Producer())

    @property
    def fates(self) -> dict[int, Fate]:
        """What became of each number."""
        return self.stored.fates

    def events(self) -> list[pb.Event]:
        """All events so far, after a flush."""
        assert self.log.flush(20).acknowledged, self.log.stats()
        return self.stored.events

    def event(self) -> pb.Event:
        """The only event so far."""
        (event,) = self.events()
        return event

    def fields(self) -> dict[str, Any]:
        """The fields of the only event: metrics as numbers, attributes as texts."""
        event = self.event()
        return {**event.metrics, **event.attributes}

    def kinds(self) -> list[str]:
        return [diagnostic.kind for diagnostic in self.diagnostics]

    def __enter__(self) -> LoggingJob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.log.close(0)
