"""What stands between a buffer and its delivery: the words that both sides use, and nothing else."""

from __future__ import annotations

from collections import deque
from typing import Literal, Protocol

from sluice.buffer.loss import LossRange

#: Whether a request is in the spool's file, or was given up while it waited to be written there.
Spooled = Literal["stored", "gone"]

#: What the collector's answer to a wrong sequence led to:
#: `resend`: go on from a request that is held; `repaired`: numbers that cannot be delivered any more are reported
#: as lost; `nonsense`: the answer fits nothing, try again later.
Rewind = Literal["resend", "repaired", "nonsense"]


class FrozenRequest:
    """A request as it goes out, and again if need be, byte for byte.

    `data` never changes, nor do the numbers; `sends` and `spooled` say what became of it.
    """

    __slots__ = ("data", "events", "first", "last", "losses", "sends", "spooled")

    def __init__(
        self, first: int, last: int, events: int, losses: tuple[LossRange, ...], data: bytes
    ) -> None:
        self.first = first
        self.last = last
        #: Events in it; the other numbers are losses.
        self.events = events
        #: The losses in it, ascending.
        self.losses = losses
        #: The encoded `LogRequest`, without the producer.
        self.data = data
        #: How often it was handed to a call.
        self.sends = 0
        self.spooled: Spooled | None = None

    def __repr__(self) -> str:
        return f"FrozenRequest({self.first}-{self.last}, {self.events} events, {len(self.data)} bytes)"


class RequestSource(Protocol):
    """Where a delivery takes requests from: a logger's buffer, or what another process left on the disk.

    All of it is called on the delivery's thread alone; an implementation that others use too locks inside, briefly.
    """

    def gather(self) -> None:
        """Takes in what was logged since the last time. A log call leaves its event in a list without any lock; it
        is this that gives it its number, puts it into columns, seals what is full and drops what has no room. To be
        called whenever the delivery's thread wakes, whatever it waits for (an answer, a backoff), and before the
        other members are asked: what is not gathered fills the list, and a full list drops."""

    @property
    def frozen(self) -> deque[FrozenRequest]:
        """Requests that are frozen and in memory, the oldest first. Changed on the delivery's thread alone."""

    @property
    def first_pending(self) -> int:
        """The first number that is not acknowledged; one more than the last one used if there is none."""

    @property
    def buffered_events(self) -> int:
        """Events that are not acknowledged, wherever they are."""

    @property
    def has_sealed(self) -> bool:
        """Whether a request is full that could be frozen."""

    @property
    def opened_s(self) -> float | None:
        """When the open draft's first number was used, by `time.monotonic()`; None if there is none."""

    def freeze(self, with_open: bool) -> bool:
        """Freezes the oldest draft and appends it to `frozen`; the open one only if asked."""

    def load_more(self) -> bool:
        """Whether the requests that follow those in `frozen` lie on the disk. They are read then, and the delivery
        is told by `notice_sealed` when they are in `frozen`; until then nothing younger may be frozen for it."""

    def release(self, durable: int) -> bool:
        """Lets go of everything up to a number that the collector has on its disk. Says whether that was any."""

    def refuse_oldest(self) -> None:
        """Replaces the oldest frozen request by losses of the same numbers."""

    def rewind(self, expected: int) -> Rewind:
        """Goes on from where the collector wants to."""


class DeliveryCounts:
    """What a delivery has done so far. Written on its thread, read on any."""

    __slots__ = ("calls", "duplicates", "last_error", "rejected", "resends")

    def __init__(self) -> None:
        self.calls = 0
        #: Requests that were handed to a call again.
        self.resends = 0
        #: Events that the collector rejected for breaking a limit; it names at most 1,000 a call.
        self.rejected = 0
        #: Sequence numbers that the collector had already when they came again.
        self.duplicates = 0
        #: The last failed call, in words.
        self.last_error: str | None = None


class Deliverer(Protocol):
    """What a logger needs of whatever takes its events away. Everything may be called on any thread.

    `notice_open` and `notice_sealed` are called from within log calls, and these from signal handlers, from `__del__`
    and from within each other: so they take no lock that is written in Python (`threading.Event.set` and
    `Condition.notify` do, and a signal handler that logs within one of them would wait for itself). A plain
    `threading.Lock` that is used as a semaphore of one does: the thread waits with `acquire(timeout=…)`, whoever
    wakes it calls `release()` and ignores the RuntimeError of one that is released already; so does
    `queue.SimpleQueue`. They come seldom: for the first event after a pause, and after every thousand or so.
    """

    @property
    def counts(self) -> DeliveryCounts: ...

    def notice_open(self) -> None:
        """Something was logged after a pause: it is to be gathered, and sent when it is old enough."""

    def notice_sealed(self) -> None:
        """Much was logged: it is to be gathered now, whatever else the thread waits for, and sent if it fills a
        request. Called again and again while that has not happened yet."""

    def wait_for(self, target: int, timeout_s: float) -> bool:
        """Blocks until everything up to `target` is acknowledged (True), or with False once it will not be in time."""

    def marked(self, timeout_s: float) -> None:
        """Blocks until the collector was asked to commit what was waited for and is acknowledged, or the deadline."""

    def stop(self, timeout_s: float) -> None:
        """Gives up what is under way and ends the thread, for which it waits until the deadline. Waiters learn that
        they waited in vain. May be called again."""
