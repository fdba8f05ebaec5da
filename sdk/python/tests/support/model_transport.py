"""A transport straight into the collector's model, with faults. Messages arrive one after another, in time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sluice.delivery.failure import UNAVAILABLE
from sluice.delivery.loop import Loop
from sluice.delivery.response import decode_response
from sluice.delivery.transport import CallFailure, CallOutcome

from .collector_model import CallModel, CollectorModel, RefusedCall


def never() -> bool:
    return False


@dataclass
class Faults:
    #: Whether this message ends the call before it is taken.
    breaks_before: Callable[[], bool] = never
    #: Whether the call breaks after everything was stored, so that the answer is lost.
    loses_answer: Callable[[], bool] = never
    #: Whether the answer never comes.
    hangs: Callable[[], bool] = never
    #: How long a message takes.
    delay_ms: Callable[[], float] = lambda: 0.0


class ModelTransport:
    """Implements `Transport`."""

    def __init__(self, model: CollectorModel, loop: Loop, faults: Faults) -> None:
        self.model = model
        self.loop = loop
        self.faults = faults
        self.open_calls = 0
        self.most_open_calls = 0

    def open(self, ended: Callable[[CallOutcome], None]) -> _ModelCall:
        self.open_calls += 1
        self.most_open_calls = max(self.most_open_calls, self.open_calls)
        return _ModelCall(self, self.model.open_call(), ended)

    def disconnect(self) -> None:
        pass


class _ModelCall:
    is_single = False

    def __init__(
        self, transport: ModelTransport, call: CallModel, ended: Callable[[CallOutcome], None]
    ) -> None:
        self._transport = transport
        self._call = call
        self._ended = ended
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_busy = False
        self._is_over = False

    def write(self, message: bytes, written: Callable[[], None]) -> None:
        def step() -> None:
            if self._transport.faults.breaks_before():
                self._end(CallFailure(UNAVAILABLE, "broken"))
                return
            try:
                self._call.take(message)
            except RefusedCall as refused:
                expected = refused.metadata.get("sluice-expected-sequence")
                delay = refused.metadata.get("sluice-retry-delay-ms")
                self._end(
                    CallFailure(
                        refused.code,
                        refused.message,
                        expected_sequence=None if expected is None else int(expected),
                        retry_delay_ms=None if delay is None else int(delay),
                    )
                )
                return
            written()

        self._enqueue(step)

    def half_close(self) -> None:
        def step() -> None:
            faults = self._transport.faults
            if faults.hangs():
                return
            if faults.loses_answer():
                self._end(CallFailure(UNAVAILABLE, "answer lost"))
            else:
                self._end(decode_response(self._call.response().SerializeToString()))

        self._enqueue(step)

    def cancel(self) -> None:
        self._end(None)

    def _end(self, outcome: CallOutcome | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._transport.open_calls -= 1
        if outcome is not None:
            self._ended(outcome)

    def _enqueue(self, step: Callable[[], None]) -> None:
        self._waiting.append(step)
        if not self._is_busy:
            self._next()

    def _next(self) -> None:
        self._is_busy = bool(self._waiting)
        if not self._waiting:
            return
        step = self._waiting.popleft()

        def run() -> None:
            if not self._is_over:
                step()
                self._next()

        self._transport.loop.call_later(self._transport.faults.delay_ms(), run)
