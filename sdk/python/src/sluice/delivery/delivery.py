from __future__ import annotations

import random as _random
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol

from sluice.limits import (
    EXHAUSTED_ATTEMPTS,
    FLUSH_BACKOFF_MAX_MS,
    IDLE_LOOK_MS,
    LATE_GRACE_MS,
    OUTSTANDING_WRITES,
    QUIET_ATTEMPTS,
    RETRY_DELAY_MAX_MS,
)

from .backoff import backoff_ms, requested_delay_ms
from .failure import DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE, UNKNOWN, in_words, reaction_to
from .loop import Loop, Timer
from .pace import Pace, PaceSettings
from .source import DeliveryCounts, RequestSource
from .transport import Acknowledgment, Call, CallFailure, CallOutcome, Transport

#: What a delivery reports; see diagnostics.py.
ReportKind = Literal["unreachable", "reached", "refused", "overloaded", "rewind", "rejected"]

#: LogRequest { flush: true }
FLUSH_MARK = b"\x30\x01"


class DeliverySettings(PaceSettings, Protocol):
    @property
    def call_bytes(self) -> int: ...
    @property
    def ack_timeout_ms(self) -> int: ...
    @property
    def backoff_min_ms(self) -> int: ...
    @property
    def backoff_max_ms(self) -> int: ...


class Report(Protocol):
    def __call__(self, kind: ReportKind, message: Callable[[], str]) -> bool:
        """Whether it was said, not held back."""


class _OpenCall:
    """A call and what has gone into it."""

    __slots__ = (
        "bytes",
        "call",
        "is_aged",
        "is_half_closed",
        "is_late",
        "last_sequence",
        "marked_through",
        "outstanding",
        "progress_ms",
        "requests",
    )

    def __init__(self) -> None:
        self.call: Call | None = None
        self.outstanding = 0
        self.bytes = 0
        self.requests = 0
        self.last_sequence = 0
        #: Up to this number its end asks the collector to commit soon; 0 if it does not ask.
        self.marked_through = 0
        self.is_aged = False
        self.is_half_closed = False
        #: When bytes left last, or the answer was asked for; and whether that is too long ago already.
        self.progress_ms = 0.0
        self.is_late = False

    @property
    def is_mark_alone(self) -> bool:
        """Whether it carries nothing but the wish to have earlier ones committed."""
        return self.requests == 0 and self.marked_through > 0


class Waiter:
    """Somebody who waits until everything up to a number is acknowledged."""

    __slots__ = ("done", "target")

    def __init__(self, target: int, done: Callable[[bool], None]) -> None:
        self.target = target
        #: Told once, and only if the waiter is not removed before.
        self.done = done


class Delivery:
    """Brings what the buffer holds to the collector, one call after another. Everything but `notice_open` and
    `notice_sealed` belongs to the loop's thread.

    Invariants:
    1. At most one call at a time; none without something to send.
    2. Every call begins with the oldest request that is not acknowledged, and keeps the order.
    3. After a failure the next call carries only what is frozen already (or one request) and is half-closed at once,
       so that a collector that keeps failing does not turn the buffer into many small frozen requests.
    4. Nothing waits without a timer or a call. While `_is_watching`, whatever is logged is looked at without being
       told; otherwise `notice_open` tells.
    5. What somebody waits for is marked: behind the last of it goes a message that asks the collector to commit soon;
       if it is acknowledged already, that message goes alone. It is asked for once: such a call alone that fails is
       not made again. Nothing is marked that nobody waits for.
    6. Whenever something happens, what was logged is gathered first, whatever else is to be waited for.
    """

    def __init__(
        self,
        *,
        settings: DeliverySettings,
        endpoint: str,
        source: RequestSource,
        producer: bytes,
        transport: Transport,
        loop: Loop,
        report: Report,
        random: Callable[[], float] = _random.random,
        released: Callable[[], None] = lambda: None,
        watching: Callable[[bool], None] = lambda is_watching: None,
    ) -> None:
        """
        producer: the field that goes in front of a call's first message; empty if it is not known.
        released: something may have been acknowledged.
        watching: told when what is logged need not be noticed any more, and when it must be again; on any thread.
        """
        self.counts = DeliveryCounts()
        self._settings = settings
        self._endpoint = endpoint
        self._pace = Pace(settings)
        self._source = source
        self._producer = producer
        self._transport = transport
        self._loop = loop
        self._report_kind = report
        self._random = random
        self._released = released
        self._watching = watching
        self._open: _OpenCall | None = None
        #: Index in `source.frozen` of the next request for the open call.
        self._next = 0
        #: Failed calls since the last acknowledgment, when the first of them was, and whether it was said that nobody
        #: answers.
        self._attempt = 0
        self._failing_since_ms = 0.0
        self._is_unreachable_said = False
        #: Whether the last call was given up for a reason that says nothing about the collector.
        self._is_interrupted = False
        #: Failures of the oldest request alone that may mean that it is too large.
        self._exhausted = 0
        #: Up to here a request was refused, and every one goes alone until it is found.
        self._isolated_through = 0
        #: Until when no call is made, if a failure said so, and whether the collector asked for it.
        self._backoff: Timer | None = None
        self._backoff_until_ms = 0.0
        self._is_backoff_order = False
        self._age_timer: Timer | None = None
        self._call_timer: Timer | None = None
        self._progress_timer: Timer | None = None
        self._waiters: set[Waiter] = set()
        #: The last number that somebody waited for …
        self._flush_target = 0
        #: … and the last that the collector was asked to commit soon.
        self._marked_through = 0
        self._mark_waiters: set[Waiter] = set()
        self._is_stopped = False
        # Read and written on several threads; a plain bool, so that a log call takes no lock for it.
        self._is_watching = False
        self._is_look_posted = False
        #: When something was open last.
        self._active_ms = 0.0

    # Called from log calls, on any thread, in signal handlers and finalizers.

    def notice_open(self) -> None:
        """Something was logged after a pause."""
        if not self._is_watching:
            self._is_watching = True
            self._watching(True)
            self._loop.post(self._pump)

    def notice_sealed(self) -> None:
        """Much was logged, or something is there to be sent."""
        if not self._is_look_posted:
            self._is_look_posted = True
            self._loop.post(self._look)

    # Called on the loop's thread.

    def wait_for(self, waiter: Waiter) -> None:
        """Tells the waiter once everything up to its target is acknowledged (True), or at the stop (False)."""
        self._source.gather()
        self._flush_target = max(self._flush_target, waiter.target)
        if self._source.first_pending > waiter.target:
            waiter.done(True)
            if self._is_mark_due():
                self._pump()
            return
        if self._is_stopped:
            waiter.done(False)
            return
        self._waiters.add(waiter)
        self._hurry()
        self._pump()

    def wait_for_mark(self, waiter: Waiter) -> None:
        """Tells the waiter once what was waited for and is acknowledged is marked, or at the stop."""
        if self._is_stopped or not self._is_mark_due():
            waiter.done(True)
        else:
            self._mark_waiters.add(waiter)

    def forget(self, waiter: Waiter) -> None:
        """It waits no longer."""
        self._waiters.discard(waiter)
        self._mark_waiters.discard(waiter)

    def interrupt(self) -> None:
        """Gives up the open call and the connection for now; `resume` goes on with what the call carried."""
        open_call = self._end_call()
        if open_call is not None and open_call.call is not None:
            open_call.call.cancel()
            self._is_interrupted = True
        self._transport.disconnect()

    def resume(self) -> None:
        """Goes on after `interrupt`."""
        self._pump()

    def stop(self) -> None:
        """Gives up the open call and the connection. Waiters learn that they waited in vain."""
        if self._is_stopped:
            return
        self._is_stopped = True
        open_call = self._end_call()
        if open_call is not None and open_call.call is not None:
            open_call.call.cancel()
        for timer in (self._age_timer, self._backoff):
            if timer is not None:
                timer.cancel()
        self._age_timer = self._backoff = None
        for waiter in [*self._waiters]:
            waiter.done(False)
        for waiter in [*self._mark_waiters]:
            waiter.done(False)
        self._waiters.clear()
        self._mark_waiters.clear()
        self._transport.disconnect()

    def _look(self) -> None:
        # Before anything is gathered, so that what comes meanwhile is told again.
        self._is_look_posted = False
        self._pump()

    def _pump(self) -> None:
        """Sends what may be sent now. Every event that could change the answer ends here."""
        if self._is_stopped:
            return
        try:
            self._send()
        except Exception:
            # A fault of the SDK, which the loop reports. What it broke off is begun anew after a while.
            if not self._is_stopped:
                self.interrupt()
                self._count_failure()
                if self._backoff is None:
                    self._back_off(self._delay_ms())
            raise

    def _send(self) -> None:
        source = self._source
        source.gather()
        open_call = self._open
        if self._backoff is not None or (open_call is not None and open_call.is_half_closed):
            return
        if open_call is None:
            if not self._is_ripe():
                if self._is_mark_due():
                    self._send_mark()
                self._watch_open_draft()
                return
            open_call = self._begin()
            if open_call is None:
                return
        has_more = True
        while open_call.outstanding < OUTSTANDING_WRITES and not self._is_full(open_call):
            has_more = self._send_next(open_call)
            if not has_more:
                break
        if self._is_full(open_call) or open_call.is_aged or (not has_more and self._is_hasty()):
            self._half_close(open_call)
        elif not has_more:
            # With more to send, the next written message comes back here; a due draft must not spin until then.
            self._watch_open_draft()

    def _is_ripe(self) -> bool:
        """Whether there is something that should not wait any longer."""
        source = self._source
        if source.frozen:
            return True
        # What is on the disk is older than any draft, and comes back by `notice_sealed`.
        return not source.load_more() and (source.has_sealed or self._is_open_draft_due())

    def _is_open_draft_due(self) -> bool:
        opened_s = self._source.opened_s
        if opened_s is None:
            return False
        # Half a millisecond, because a timer may fire that much early.
        return bool(self._waiters) or self._loop.now_ms() - opened_s * 1000 >= self._pace.request_age_ms - 0.5

    def _watch_open_draft(self) -> None:
        if self._age_timer is not None:
            return
        now_ms = self._loop.now_ms()
        age_ms = self._pace.request_age_ms
        opened_s = self._source.opened_s
        if opened_s is not None:
            self._active_ms = now_ms
            # Its turn comes after what is on the disk, however due it is; that comes back by `notice_sealed`.
            if self._source.load_more():
                return
            delay_ms = max(0.0, age_ms - (now_ms - opened_s * 1000))
        elif now_ms - self._active_ms < IDLE_LOOK_MS and self._is_watching:
            # A job that logs now and then should not have to wake this thread each time.
            delay_ms = max(1.0, age_ms)
        else:
            self._is_watching = False
            self._watching(False)
            # In this order: whoever logs before this line is seen here, and who logs after it sees the line above.
            self._source.gather()
            if self._source.opened_s is None and not self._source.has_sealed:
                return
            self._is_watching = True
            self._watching(True)
            delay_ms = 0.0
        self._age_timer = self._loop.call_later(delay_ms, self._on_age)

    def _on_age(self) -> None:
        self._age_timer = None
        self._pump()

    def _is_full(self, open_call: _OpenCall) -> bool:
        """Whether the call has all that it may carry."""
        if open_call.bytes >= self._settings.call_bytes:
            return True
        is_single = open_call.call is not None and open_call.call.is_single
        return open_call.requests > 0 and (is_single or self._isolated_through > 0)

    def _is_hasty(self) -> bool:
        """Whether the acknowledgment is wanted as soon as there is nothing more to send."""
        return bool(self._waiters) or self._is_repeating() or self._is_mark_due()

    def _is_repeating(self) -> bool:
        return self._attempt > 0 or self._is_interrupted

    def _is_mark_due(self) -> bool:
        """Whether all that somebody waited for is acknowledged, and by calls that did not mark it."""
        return self._marked_through < self._flush_target < self._source.first_pending

    def _is_mark_wanted(self, through: int) -> bool:
        """Whether somebody waits, or waited, for what ends at or before this number."""
        if self._marked_through < self._flush_target <= through:
            return True
        return any(self._marked_through < waiter.target <= through for waiter in self._waiters)

    def _begin(self) -> _OpenCall | None:
        open_call = _OpenCall()
        self._open = open_call
        try:
            open_call.call = self._transport.open(lambda outcome: self._on_ended(open_call, outcome))
        except Exception as error:
            # No thread can be made, no descriptor is left, or the process ends.
            self._open = None
            self._on_failed(CallFailure(UNAVAILABLE, f"no call could be made: {error!r}"))
            return None
        self._next = 0
        self.counts.calls += 1
        self._watch_age(open_call)
        self._watch_progress(open_call)
        return open_call

    def _watch_age(self, open_call: _OpenCall) -> None:
        """Has the call end when its oldest event is old enough; at once, if that is what it was begun for."""
        source = self._source
        opened_s = source.opened_s
        age_ms = 0.0
        # What waited in memory or on the disk for a full call gets one, however old it is.
        if not source.frozen and not source.has_sealed and opened_s is not None:
            age_ms = self._loop.now_ms() - opened_s * 1000
        rest_ms = self._pace.call_age_ms - age_ms
        # Half a millisecond, because a timer may fire that much early.
        open_call.is_aged = rest_ms < 0.5
        if not open_call.is_aged:
            self._call_timer = self._loop.call_later(rest_ms, lambda: self._on_call_age(open_call))

    def _on_call_age(self, open_call: _OpenCall) -> None:
        open_call.is_aged = True
        self._pump()

    def _send_next(self, open_call: _OpenCall) -> bool:
        """Hands the next request to the call; false if there is none."""
        source = self._source
        frozen = source.frozen
        if self._next == len(frozen):
            if source.load_more():
                return False
            if self._is_repeating() and open_call.requests > 0:
                return False
            # The first request after a failure takes the open draft however young it is; nothing else is sent.
            if not source.freeze(self._is_open_draft_due()) or self._next == len(frozen):
                return False
        request = frozen[self._next]
        self._next += 1
        if request.sends > 0:
            self.counts.resends += 1
        request.sends += 1
        message = request.data if open_call.requests > 0 else self._producer + request.data
        open_call.requests += 1
        open_call.bytes += len(message)
        open_call.last_sequence = request.last
        open_call.outstanding += 1
        assert open_call.call is not None
        open_call.call.write(message, lambda: self._on_written(open_call))
        return True

    def _on_written(self, open_call: _OpenCall) -> None:
        open_call.outstanding -= 1
        if self._open is open_call:
            self._watch_progress(open_call)
            self._pump()

    def _half_close(self, open_call: _OpenCall) -> None:
        call = open_call.call
        assert call is not None
        open_call.is_half_closed = True
        self._cancel_call_timer()
        through = max(open_call.last_sequence, self._source.first_pending - 1)
        if self._is_mark_wanted(through):
            open_call.marked_through = through
            call.write(FLUSH_MARK if open_call.requests > 0 else self._producer + FLUSH_MARK, lambda: None)
        call.half_close()
        self._watch_progress(open_call)

    def _send_mark(self) -> None:
        """A call that only asks for what is acknowledged to be committed soon."""
        through = self._source.first_pending - 1
        open_call = self._begin() if self._producer else None
        if open_call is None:
            self._note_marked(through)
        else:
            self._half_close(open_call)

    def _note_marked(self, through: int) -> None:
        self._marked_through = max(self._marked_through, through)
        if not self._is_mark_due():
            waiters, self._mark_waiters = self._mark_waiters, set()
            for waiter in waiters:
                waiter.done(True)

    def _watch_progress(self, open_call: _OpenCall) -> None:
        """A collector that hangs is one that neither takes bytes nor answers for a while."""
        open_call.progress_ms = self._loop.now_ms()
        open_call.is_late = False
        if self._progress_timer is None:
            self._check_progress_in(open_call, self._settings.ack_timeout_ms)

    def _check_progress_in(self, open_call: _OpenCall, delay_ms: float) -> None:
        self._progress_timer = self._loop.call_later(delay_ms, lambda: self._check_progress(open_call))

    def _check_progress(self, open_call: _OpenCall) -> None:
        self._progress_timer = None
        # Between two requests an open call is quiet by right; it is the half-close that is late then.
        if self._open is not open_call or (not open_call.is_half_closed and open_call.outstanding == 0):
            return
        timeout_ms = self._settings.ack_timeout_ms
        waited_ms = self._loop.now_ms() - open_call.progress_ms
        # Half a millisecond, because a timer may fire that much early.
        if waited_ms < timeout_ms - 0.5:
            self._check_progress_in(open_call, timeout_ms - waited_ms)
        elif open_call.is_late or open_call.is_mark_alone:
            # A mark that is given up costs nothing, so it gets no turn more.
            self._give_up(open_call, waited_ms)
        else:
            # A job that held the interpreter all the while may have an answer waiting that nobody has read yet. So it
            # gets a turn more.
            open_call.is_late = True
            self._check_progress_in(open_call, min(LATE_GRACE_MS, timeout_ms))

    def _give_up(self, open_call: _OpenCall, waited_ms: float) -> None:
        self._end_call()
        if open_call.call is not None:
            open_call.call.cancel()
        # Whatever hangs, a new connection is the way around it.
        self._transport.disconnect()
        message = f"no progress for {waited_ms:.0f} ms (ack_timeout_ms is {self._settings.ack_timeout_ms})"
        if open_call.is_mark_alone:
            self._on_mark_failed(open_call, message)
        else:
            self._on_failed(CallFailure(DEADLINE_EXCEEDED, message))

    def _on_ended(self, open_call: _OpenCall, outcome: CallOutcome) -> None:
        if self._open is not open_call:
            return
        self._end_call()
        if isinstance(outcome, Acknowledgment):
            self._on_acknowledged(open_call, outcome)
        elif open_call.is_mark_alone:
            self._on_mark_failed(open_call, outcome.message)
        else:
            self._on_failed(outcome, open_call)

    def _on_mark_failed(self, open_call: _OpenCall, message: str) -> None:
        """Everything it was about is on the collector's disk, and committed in the end without being asked for."""
        self.counts.last_error = message
        self._note_marked(open_call.marked_through)
        self._pump()

    def _end_call(self) -> _OpenCall | None:
        open_call, self._open = self._open, None
        self._cancel_call_timer()
        if self._progress_timer is not None:
            self._progress_timer.cancel()
            self._progress_timer = None
        return open_call

    def _cancel_call_timer(self) -> None:
        if self._call_timer is not None:
            self._call_timer.cancel()
            self._call_timer = None

    def _on_acknowledged(self, open_call: _OpenCall, answer: Acknowledgment) -> None:
        self._pace.notice_answer(answer.call_age_ms)
        self.counts.duplicates += answer.duplicates
        self.counts.rejected += answer.rejected
        if answer.rejection is not None:
            self._report("rejected", f"it rejected {answer.rejection}")
        if self._is_unreachable_said:
            # So that what was logged meanwhile counts as well.
            self._source.gather()
        waited = self._source.buffered_events
        has_released = self._source.release(answer.durable_sequence)
        is_through = has_released or answer.durable_sequence >= open_call.last_sequence
        if is_through and self._is_unreachable_said:
            self._report_reached(waited)
        self._note_marked(min(open_call.marked_through, self._source.first_pending - 1))
        self._wake()
        if not is_through:
            message = f"acknowledged up to {answer.durable_sequence} of {open_call.last_sequence}"
            self._on_failed(CallFailure(UNKNOWN, message))
            return
        self._attempt = 0
        self._is_interrupted = False
        self._exhausted = 0
        if answer.durable_sequence >= self._isolated_through:
            self._isolated_through = 0
        self._pump()

    def _on_failed(self, failure: CallFailure, open_call: _OpenCall | None = None) -> None:
        """`open_call` is absent if nothing can be said about what the call carried."""
        failure = replace(failure, message=in_words(failure, self._endpoint))
        self._count_failure()
        self.counts.last_error = failure.message
        reaction = "retry" if open_call is None else reaction_to(failure)
        if reaction == "retry":
            self._report_retry(failure)
            self._back_off(self._delay_ms())
        elif reaction == "retry_slowly":
            self._report("refused", f"{failure.message}; trying again slowly, but someone has to repair that")
            self._back_off(self._settings.backoff_max_ms * (0.5 + self._random() / 2))
        elif reaction == "wait":
            asked_ms = failure.retry_delay_ms or 0
            self._report("overloaded", f"{failure.message}; trying again after {asked_ms} ms as asked")
            self._back_off(requested_delay_ms(asked_ms, RETRY_DELAY_MAX_MS, self._random), is_order=True)
        elif reaction == "rewind":
            self._rewind(failure.expected_sequence or 0, failure)
        elif open_call is not None:
            self._isolate(failure, open_call)
        self._source.gather()
        self._wake()

    def _count_failure(self) -> None:
        if self._attempt == 0:
            self._failing_since_ms = self._loop.now_ms()
        self._attempt += 1

    def _rewind(self, expected: int, failure: CallFailure) -> None:
        oldest = self._source.first_pending
        outcome = self._source.rewind(expected)
        if outcome != "resend":
            what = (
                "what is missing is reported as lost (refused)"
                if outcome == "repaired"
                else "that fits nothing"
            )
            self._report("rewind", f"it expects sequence {expected}, the oldest here is {oldest}; {what}")
        # The first time is what the protocol provides for; a collector that keeps asking gets pauses.
        is_first = self._attempt == 1 and outcome != "nonsense"
        if not is_first:
            self._report_retry(failure)
        self._back_off(0 if is_first else self._delay_ms())

    def _isolate(self, failure: CallFailure, open_call: _OpenCall) -> None:
        """Sends requests one a call until it is known which one is refused, and gives that one up."""
        is_exhausted = failure.code == RESOURCE_EXHAUSTED
        self._isolated_through = max(self._isolated_through, open_call.last_sequence)
        frozen = self._source.frozen
        is_alone = open_call.requests == 1 and len(frozen) > 0
        if is_alone and is_exhausted:
            self._exhausted += 1
        is_given_up = is_alone and (not is_exhausted or self._exhausted >= EXHAUSTED_ATTEMPTS)
        if is_given_up and frozen[0].events > 0:
            request = frozen[0]
            self._exhausted = 0
            lost = f"{request.events} events from sequence {request.first} are reported as lost"
            self._report("refused", f"{failure.message}; {lost}")
            self._source.refuse_oldest()
            self._back_off(0)
            return
        # A request of nothing but losses is small and right: if that is refused, so is the producer itself.
        if is_given_up:
            self._report("refused", f"{failure.message}; the collector takes nothing from this logger")
        else:
            self._report("overloaded", f"{failure.message}; looking for the request that causes it")
        self._back_off(0 if open_call.requests > 1 else self._delay_ms())

    def _delay_ms(self) -> float:
        max_ms = float(self._settings.backoff_max_ms)
        if self._waiters:
            max_ms = min(max_ms, FLUSH_BACKOFF_MAX_MS)
        return backoff_ms(self._attempt, self._settings.backoff_min_ms, max_ms, self._random)

    def _back_off(self, delay_ms: float, is_order: bool = False) -> None:
        """`is_order`: the collector asked for this delay, so that nobody's hurry shortens it."""
        if self._is_stopped:
            return
        self._backoff = self._loop.call_later(delay_ms, self._on_backed_off)
        self._backoff_until_ms = self._loop.now_ms() + delay_ms
        self._is_backoff_order = is_order

    def _on_backed_off(self) -> None:
        self._backoff = None
        self._pump()

    def _hurry(self) -> None:
        """Someone waits: a long delay of our own making becomes a short one."""
        if self._backoff is None or self._is_backoff_order:
            return
        soon_ms = self._random() * self._settings.backoff_min_ms
        if self._backoff_until_ms - self._loop.now_ms() > soon_ms:
            self._backoff.cancel()
            self._back_off(soon_ms)

    def _wake(self) -> None:
        first_pending = self._source.first_pending
        for waiter in [*self._waiters]:
            if waiter.target < first_pending:
                self._waiters.discard(waiter)
                waiter.done(True)
        self._released()

    def _report_retry(self, failure: CallFailure) -> None:
        """Not the first failures: a collector that restarts should not make a fleet talk."""
        if self._attempt >= QUIET_ATTEMPTS and self._report(
            "unreachable", f"{failure.message}; {self._attempt} attempts so far, trying again"
        ):
            self._is_unreachable_said = True

    def _report_reached(self, waited: int) -> None:
        """Whoever has read that nobody answers reads that somebody does again."""
        self._is_unreachable_said = False
        away_s = (self._loop.now_ms() - self._failing_since_ms) / 1000
        self._report("reached", f"reached again after {away_s:.0f} s; {waited} events waited")

    def _report(self, kind: ReportKind, message: str) -> bool:
        return self._report_kind(kind, lambda: f"collector at {self._endpoint}: {message}")
