"""Counters that one thread changes together and others read together, without the readers ever holding a lock."""

from __future__ import annotations

import threading
import time
from types import TracebackType

#: Tries of a reader, a fraction of a millisecond apart, before it takes what it sees. A change takes a few
#: milliseconds at most; only a reader in a signal handler, in the middle of a change on its own thread, gets that far.
_TRIES = 100


class Changing:
    """A sequence lock (as in the Linux kernel): the number is odd during a change, and another one after it.

    Changes hold a lock against each other, which the thread that has it may take again. Readers hold none: a signal
    handler or a finalizer may read whatever the thread that it interrupts is doing.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._number = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self._number += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._number += 1
        self._lock.release()

    def start(self) -> int:
        """What `unchanged` wants to know, when no change is under way (or seems never to end)."""
        for _ in range(_TRIES):
            number = self._number
            if number % 2 == 0:
                return number
            time.sleep(0.0002)
        return self._number

    def unchanged(self, number: int) -> bool:
        """Whether nothing has changed since `start` returned this."""
        return self._number == number
