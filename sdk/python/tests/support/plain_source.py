"""A request source without a buffer's cleverness: each event is encoded when it is logged."""

from __future__ import annotations

import threading
import time

from sluice._generated import collector_pb2 as pb
from sluice.buffer.frozen_request import first_sequence_field
from sluice.buffer.frozen_requests import FrozenRequests
from sluice.clock import SYSTEM_CLOCK, Clock
from sluice.delivery.source import FrozenRequest

PRODUCER = pb.LogRequest(
    producer=pb.Producer(id=bytes(range(16)), project="p", run_id="r")
).SerializeToString()


class PlainSource(FrozenRequests):
    """Implements `RequestSource`. `log` may be called on any thread."""

    def __init__(self, events_per_request: int = 10, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(clock)
        self.logged = 0
        self._events_per_request = events_per_request
        self._open: list[bytes] = []
        self._opened_s: float | None = None
        self._sealed: list[tuple[int, list[bytes]]] = []
        self._lock = threading.Lock()

    def log(self, name: str = "e", body: str = "") -> str:
        """Says what changed: `open`, `sealed`, or nothing that matters."""
        with self._lock:
            self.logged += 1
            self.buffered_events += 1
            event = pb.Event(name=name, body=body, step=self.logged, time_unix_nano=self.clock.wall_ns())
            request = pb.LogRequest(events=[event])
            if self._opened_s is None:
                self._opened_s = self.clock.monotonic_ns() / 1e9
            self._open.append(request.SerializeToString())
            if len(self._open) >= self._events_per_request:
                self._seal()
                return "sealed"
            return "open"

    def gather(self) -> None:
        pass

    @property
    def first_pending(self) -> int:
        with self._lock:
            return self.frozen[0].first if self.frozen else self._first_unfrozen()

    @property
    def has_sealed(self) -> bool:
        return bool(self._sealed)

    @property
    def opened_s(self) -> float | None:
        return self._opened_s

    def freeze(self, with_open: bool) -> bool:
        with self._lock:
            if not self._sealed and with_open and self._open:
                self._seal()
            if not self._sealed:
                return False
            first, events = self._sealed.pop(0)
            data = first_sequence_field(first) + b"".join(events)
            self.hold(len(self.frozen), FrozenRequest(first, first + len(events) - 1, len(events), (), data))
            return True

    def load_more(self) -> bool:
        return False

    def _first_unfrozen(self) -> int:
        return self._sealed[0][0] if self._sealed else self.logged - len(self._open) + 1

    def _seal(self) -> None:
        self._sealed.append((self.logged - len(self._open) + 1, self._open))
        self._open, self._opened_s = [], None


def wait_until(holds: object, timeout_s: float = 60.0) -> None:
    """Waits for something to become true; fails the test if it does not."""
    assert callable(holds)
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, "it does not come true"
        time.sleep(0.002)
