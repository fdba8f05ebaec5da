"""Everything that was logged and is not acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sluice.buffer.draft import Draft, Encode
from sluice.buffer.frozen_requests import FrozenRequests
from sluice.buffer.intake import CLOSED_TO_ALL, PER_EVENT, Intake
from sluice.buffer.loss import LossReason
from sluice.buffer.tally import Tally
from sluice.clock import Clock, EventClock
from sluice.delivery.source import FrozenRequest
from sluice.encode.columns import Columns
from sluice.encode.event_reader import EventReader, is_too_large
from sluice.limits import (
    GATHER_EVENTS,
    REOPEN_SHARE,
    REQUEST_OVERSHOOT_SHARE,
    SHAPES_PER_REQUEST,
    WAITING_EVENT_BYTES,
    WAITING_EVENTS_MIN,
    WAITING_TEXT_SHARE,
    WAKE_EVENTS,
)


class RequestBuffer(FrozenRequests):
    """What was logged, in the order of its numbers: frozen requests, then sealed drafts, then the open draft, then
    what is in the intake, which has no numbers yet.

    Invariants:
    1. Every number from the first one held to the last one used lies in exactly one of them.
    2. logged = acknowledged + dropped + buffered_events, always.
    3. The bytes of all events that were gathered are at most `capacity`. Losses need no room in it: there are never
       more ranges than events between them, times the number of reasons. What is in the intake is bounded by its own
       limit, which is what is left of the capacity at a generous price for an event.

    Everything but `intake` and the counters is the delivery's thread's alone (and `close`'s, once that has ended).
    """

    def __init__(
        self,
        *,
        buffer_bytes: int,
        request_bytes: int,
        reader: EventReader,
        encode: Encode,
        clock: Clock,
        noticed: Callable[[LossReason, int], None] = lambda reason, count: None,
        field_failed: Callable[[str], None] = lambda problem: None,
    ) -> None:
        """`noticed` is told of events that are dropped, `field_failed` of fields that are left out, in words; on the
        delivery's thread."""
        super().__init__(clock)
        #: Bytes of events that may be held: `buffer_bytes`, unless some of it is kept free for what is on the disk.
        self.capacity = buffer_bytes
        self.intake = Intake()
        #: Numbers used up so far.
        self.logged = 0
        #: Events that were taken from the intake and are in no draft yet.
        self.in_hand = 0
        #: Fields left out, cut names and reserved names that were used for something else, of gathered events.
        self.field_errors = 0
        self._request_bytes = request_bytes
        self._event_clock = EventClock(clock)
        self._reader = reader
        self._encode = encode
        self._noticed = noticed
        self._field_failed = field_failed
        self._sealed: deque[Draft] = deque()
        self._open: Draft | None = None
        #: Events in drafts, so that a full buffer decides without a search.
        self._tally = Tally()
        #: Whether nothing is delivered any more.
        self.is_closed = False
        #: Whether something was dropped for want of room, and there is not much more room yet.
        self._is_full = False
        #: When the first of the events was logged that are being gathered, by `time.monotonic()`.
        self._first_s = 0.0
        #: The draft that was evicted from last.
        self._evicting: Draft | None = None
        self._set_place()

    def gather(self) -> None:
        """Takes in what was logged since the last time, as much as there is at the moment."""
        intake = self.intake
        self._note_time()
        count, texts = intake.events, len(intake.text_sizes)
        if count > 0:
            # At once, because what stays behind in a long list is moved whenever something is taken from its front.
            with self.changing:
                taken = intake.items[: count * PER_EVENT]
                del intake.items[: count * PER_EVENT]
                self.in_hand = count
            self._set_place()
            try:
                self._first_s = taken[0] / 1e9
                for start in range(0, count, GATHER_EVENTS):
                    self._gather(taken[start * PER_EVENT : (start + GATHER_EVENTS) * PER_EVENT])
            finally:
                self._first_s = 0.0
                self._lose_in_hand()
        # The text of an event is counted before it is there, so these belong to what is gone, but for a few.
        intake.forget_texts(texts)
        self._take_drops()
        self._take_field_errors()
        self._set_limit()

    @property
    def first_pending(self) -> int:
        """The first number that is not acknowledged; one more than `logged` if there is none."""
        return self.frozen[0].first if self.frozen else self.first_unfrozen

    @property
    def first_unfrozen(self) -> int:
        """The first number that is in no frozen request; one more than `logged` if there is none."""
        if self._sealed:
            return self._sealed[0].first
        return self._open.first if self._open is not None else self.logged + 1

    @property
    def has_sealed(self) -> bool:
        """Whether a request is full that could be frozen."""
        return bool(self._sealed)

    @property
    def opened_s(self) -> float | None:
        """When the open draft's first number was used, by `time.monotonic()`; None if there is none."""
        return None if self._open is None else self._open.opened_s

    def freeze(self, with_open: bool) -> bool:
        """Freezes the oldest draft and appends it to `frozen`; the open one only if asked."""
        if not self._sealed and with_open:
            self._seal()
        if not self._sealed:
            return False
        draft = self._sealed[0]
        requests = draft.freeze(self._encode)
        with self.changing:
            if self.is_closed:
                return False
            self._sealed.popleft()
            if self._evicting is draft:
                self._evicting = None
            self._tally.remove_all(draft.tally)
            self.buffered_bytes -= draft.tally.bytes + draft.overhead
            for request in requests:
                self.append(request)
        self._set_limit()
        return True

    def set_watched(self, is_watched: bool) -> None:
        """Whether `gather` is called soon, without a log call having to ask for it. On any thread."""
        self.intake.is_watched = is_watched
        if not is_watched:
            self._set_limit()

    def load_more(self) -> bool:
        """Everything that is frozen is in memory."""
        return False

    def release(self, durable: int) -> bool:
        has_released = super().release(durable)
        self._set_limit()
        return has_released

    @property
    def pending(self) -> int:
        """Numbers that are not acknowledged: of the buffered events, and of losses that are not reported yet."""
        return self.logged + 1 - self.first_pending

    @property
    def spooled_events(self) -> int:
        """Events that lie on the disk and are not acknowledged."""
        return 0

    def close(self) -> None:
        """Counts what is left in memory alone as lost and lets go of everything."""
        with self.changing:
            self.is_closed = True
            intake = self.intake
            intake.closed_to = CLOSED_TO_ALL
            intake.limit = 0
            self._take_field_errors()
            waiting = intake.events
            del intake.items[: waiting * PER_EVENT]
            waiting += self.in_hand
            self.in_hand = 0
            self.logged += waiting
            self.dropped["closed"] += waiting + self.buffered_events - self.spooled_events
            self.buffered_events = self.spooled_events
            self.buffered_bytes = 0
            self.frozen.clear()
            self._sealed.clear()
            self._open = self._evicting = None
            self._tally = Tally()
            self._take_drops()

    @property
    def draft_bytes(self) -> int:
        """Bytes that drafts take."""
        drafts = [*self._sealed, *([] if self._open is None else [self._open])]
        return self._tally.bytes + sum(draft.overhead for draft in drafts)

    def append(self, request: FrozenRequest) -> None:
        """Takes a request that was frozen just now."""
        self.hold(len(self.frozen), request)

    def _gather(self, items: list[Any]) -> None:
        """Moves events that were taken from the intake into drafts."""
        self._note_time()
        times = self._event_clock.times(items[0::PER_EVENT])
        with self.changing:
            # What was in hand when the buffer was closed is counted as lost already.
            if not self.is_closed:
                self._take(times, items[1::PER_EVENT], items[2::PER_EVENT])
                self.in_hand -= len(times)
        self._set_place()

    def _note_time(self) -> None:
        """So that log calls see that the thread is at work."""
        self.intake.gathered_s = self.clock.monotonic_ns() / 1e9

    def _lose_in_hand(self) -> None:
        """What is left in hand is so by a fault of the SDK. It is counted, if not delivered."""
        if self.in_hand > 0:
            with self.changing:
                self.intake.drops["encoding"].append(self.in_hand)
                self.in_hand = 0

    def _take(self, times: list[int], heads: list[Any], fields: list[Any]) -> None:
        """Takes events together if there is room for all of them, and else by halves, down to the one that there is
        no room for."""
        count = len(times)
        columns: list[Columns] | None
        try:
            columns, field_errors, problem = self._reader.read(times, heads, fields)
        except Exception:
            # A fault of the SDK. Let it cost one event.
            if count == 1:
                self._lose("encoding", 1)
                return
            columns = None
        if columns is not None and (self._fits(columns) or (count == 1 and self._fits_alone(columns[0]))):
            self._add(columns, count)
            if field_errors:
                self.field_errors += field_errors
                self._field_failed(problem)
        elif count > 1:
            half = count // 2
            self._take(times[:half], heads[:half], fields[:half])
            self._take(times[half:], heads[half:], fields[half:])

    def _fits(self, columns: list[Columns]) -> bool:
        """Whether events may be added without a second look at each."""
        draft = self._open or Draft(0, 0.0)
        size = sum(each.size_bytes for each in columns) + draft.overhead_of(columns)
        return (
            self.buffered_bytes + size <= self.capacity
            and draft.size_bytes + size <= self._request_bytes * (1 + REQUEST_OVERSHOOT_SHARE)
            and draft.shapes_with(columns) <= SHAPES_PER_REQUEST
            and not any(map(is_too_large, columns))
        )

    def _fits_alone(self, columns: Columns) -> bool:
        """Whether a single event may be added, if need be in the place of lesser ones. One that may not is lost."""
        if is_too_large(columns):
            self._lose("too_large", 1)
            return False
        size = columns.size_bytes
        size += columns.shape.head_bytes if self._open is None else self._open.overhead_of([columns])
        missing = self.buffered_bytes + size - self.capacity
        if missing <= 0 or self._make_room(missing, columns.severity):
            return True
        self._lose("buffer_full", 1)
        self._is_full = True
        return False

    def _add(self, columns: list[Columns], count: int) -> None:
        draft = self._begin()
        before, overhead = draft.tally.bytes, draft.overhead
        draft.add(columns, count)
        for each in columns:
            self._tally.add(each)
        self.logged += count
        self.buffered_events += count
        self.buffered_bytes += draft.tally.bytes - before + draft.overhead - overhead
        if draft.is_full(self._request_bytes):
            self._seal()

    def _lose(self, reason: LossReason, count: int) -> None:
        """Uses up numbers for events that are not kept."""
        draft = self._begin()
        draft.lose(reason, count, self.clock.wall_ns())
        self.logged += count
        self.dropped[reason] += count
        # Not for its bytes, which a loss has none of: a draft that drops for hours must not run out of offsets.
        if draft.is_full(self._request_bytes):
            self._seal()
        self._noticed(reason, count)

    def _take_drops(self) -> None:
        for reason, count in self.intake.take_drops():
            with self.changing:
                if self.is_closed:
                    self.logged += count
                    self.dropped[reason] += count
                else:
                    self._lose(reason, count)

    def _take_field_errors(self) -> None:
        count = self.intake.take_field_errors()
        if count > 0:
            with self.changing:
                self.field_errors += count
            self._field_failed(self.intake.problem)

    def _begin(self) -> Draft:
        if self._open is None:
            # A loss has no time of its own; it was seen just now.
            self._open = Draft(self.logged + 1, self._first_s or self.clock.monotonic_ns() / 1e9)
        return self._open

    def _seal(self) -> None:
        if self._open is not None:
            self._sealed.append(self._open)
            self._open = None

    def _set_limit(self) -> None:
        """Tells log calls how far they may go without asking."""
        self._set_place()
        intake = self.intake
        if intake.closed_to == CLOSED_TO_ALL:
            return
        room = self.capacity - self.buffered_bytes
        if self._is_full and room >= self.capacity * REOPEN_SHARE:
            self._is_full = False
        if self._is_full:
            # Nothing can be evicted for an event of the lowest severity.
            intake.closed_to = min(self._tally.lowest(), CLOSED_TO_ALL - 1)
            intake.limit = 0
            return
        intake.closed_to = 0
        intake.limit = 0
        # Whoever logs after the line above wakes the thread, and who logged before it is seen here.
        if intake.is_watched or self._open is not None or self._sealed or intake.items:
            intake.limit = min(WAKE_EVENTS * PER_EVENT, intake.items_max)

    def _set_place(self) -> None:
        """Tells log calls how much may wait in the intake. Something may even if the buffer is full: it may be worth
        more than what is in it."""
        room = self.capacity - self.buffered_bytes
        events = max(room // WAITING_EVENT_BYTES - self.in_hand, WAITING_EVENTS_MIN)
        self.intake.items_max = events * PER_EVENT
        self.intake.text_bytes_max = max(room, self.capacity * WAITING_TEXT_SHARE)

    def _make_room(self, missing: int, severity: int) -> bool:
        """Evicts the newest events of the lowest severities, if that makes enough room for a higher one."""
        if sum(self._tally.severity_bytes[:severity]) < missing:
            return False
        now_ns = self.clock.wall_ns()
        evicted = 0
        for lower in range(1, severity):
            while missing > 0 and self._tally.counts[lower]:
                missing -= self._evict(lower, now_ns)
                evicted += 1
        self._noticed("buffer_full", evicted)
        return True

    def _evict(self, severity: int, now_ns: int) -> int:
        """Returns the size of what went."""
        draft = self._newest_with(severity)
        if self._evicting is not None and self._evicting is not draft:
            self._evicting.compact(is_left=True)
        self._evicting = draft
        size = draft.evict_newest(severity, now_ns)
        draft.compact(is_left=False)
        self._tally.change(severity, -1, -size)
        self.buffered_events -= 1
        self.buffered_bytes -= size
        self.dropped["buffer_full"] += 1
        return size

    def _newest_with(self, severity: int) -> Draft:
        """The newest draft with an event of the severity, of which there must be one."""
        if self._open is not None and self._open.tally.counts[severity]:
            return self._open
        return next(draft for draft in reversed(self._sealed) if draft.tally.counts[severity])
