"""What a delivery needs of the thread that runs it, so that tests can hold time in their hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer:
    """Something that runs later on the loop's thread, unless it is cancelled there before."""

    __slots__ = ("is_cancelled", "run")

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def fire(self) -> None:
        """Its time has come, but somebody may have cancelled it just now."""
        if not self.is_cancelled:
            self.run()


class Loop(Protocol):
    def now_ms(self) -> float:
        """By `time.monotonic()`."""

    def call_later(self, delay_ms: float, run: Callable[[], None]) -> Timer:
        """On the loop's thread alone."""

    def post(self, run: Callable[[], None]) -> None:
        """Has something run on the loop's thread soon, in order. On any thread, in a signal handler, in a finalizer:
        never blocks and never raises."""
