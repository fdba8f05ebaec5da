"""One logger of the real SDK that logs the formula's events, and says which of them are acknowledged.

A number is told only after a flush() that began after its event was logged has succeeded. With a spool that means: it
is acknowledged, or in a file that outlives the process.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from channel import notify
from formula import Key, event_of

import sluice

FLUSH_S = 120.0
#: With a spool nothing waits for a collector that is away.
SPOOLED_FLUSH_S = 0.1


class Pump:
    """`log` is called on one thread; `flush_loop` runs on another."""

    def __init__(self, key: Key, options: dict[str, Any]) -> None:
        self.key = key
        self.logger = sluice.init(**options, rank=key.rank, on_diagnostic=lambda _: None)
        self._has_spool = "spool_dir" in options
        self._begin()

    def _begin(self) -> None:
        self._sequence = 0
        self._told = 0
        self._is_done = threading.Event()
        self._flushing = threading.Lock()

    def begin_anew(self) -> None:
        """In a fork: the logger is another producer now, whose numbers begin at 1."""
        self._begin()

    @property
    def report(self) -> dict[str, Any]:
        return {"producerId": self.logger.producer_id, "rank": self.key.rank}

    @property
    def buffered_bytes(self) -> int:
        return self.logger.stats().buffered_bytes

    def log(self, events: int) -> None:
        event = self.logger.event
        for _ in range(events):
            # The SDK numbers its calls as we do: every call uses up one number, whatever becomes of it.
            sequence = self._sequence + 1
            name, arguments = event_of(self.key, sequence)
            event(name, **arguments)
            # Not before: a flush of the other thread would answer for an event that is not logged yet.
            self._sequence = sequence

    def flush_loop(self, most_s: float) -> None:
        """Flushes again and again, after random pauses, until `finish`."""
        while not self._is_done.wait(random.random() * most_s):
            if self._sequence > self._told:
                self.flush(SPOOLED_FLUSH_S if self._has_spool else FLUSH_S)

    def flush(self, timeout_s: float) -> bool:
        # One at a time, so that what is told never goes back.
        with self._flushing:
            through = self._sequence
            result = self.logger.flush(timeout=timeout_s)
            is_safe = result.acknowledged or (self._has_spool and result.pending == result.spooled)
            if is_safe and through > self._told:
                self._told = through
                notify({"producerId": self.logger.producer_id, "acknowledgedThrough": through})
            return result.acknowledged

    def finish(self, timeout_s: float) -> dict[str, Any]:
        self._is_done.set()
        is_delivered = self.flush(timeout_s)
        self.logger.close(timeout=1)
        stats = self.logger.stats()
        return {
            "producerId": self.logger.producer_id,
            "isDelivered": is_delivered,
            "logged": stats.logged,
            "acknowledged": stats.acknowledged,
            "dropped": dict(stats.dropped),
            "resends": stats.resends,
            "duplicates": stats.duplicates,
            "lastError": stats.last_error,
        }


class Load:
    """Logs to pumps in turn at a given rate, on a thread of its own."""

    #: Between two turns, as in a job's step, and at most so much time's worth at once.
    TURN_S = 0.004
    MOST_CATCH_UP_S = 0.1

    def __init__(self, pumps: list[Pump], events_per_s: float, hold_bytes: int) -> None:
        self._pumps = pumps
        self.events_per_s = events_per_s
        self._hold_bytes = hold_bytes
        self._owed = 0.0
        self._next = 0
        self._last_s = time.monotonic()

    def turn(self) -> None:
        now_s = time.monotonic()
        owed = self._owed + (now_s - self._last_s) * self.events_per_s
        self._last_s = now_s
        events = int(min(owed, self.MOST_CATCH_UP_S * self.events_per_s))
        self._owed = min(owed - events, 1.0)
        share = -(-events // len(self._pumps)) if events else 0
        while events > 0:
            pump = self._pumps[self._next % len(self._pumps)]
            self._next += 1
            if self._hold_bytes == 0 or pump.buffered_bytes <= self._hold_bytes:
                pump.log(min(share, events))
            events -= share
        time.sleep(self.TURN_S)
