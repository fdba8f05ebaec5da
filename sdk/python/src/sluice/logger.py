"""The logger."""

from __future__ import annotations

import _thread
import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from sluice.buffer.intake import CLOSED_TO_ALL, PER_EVENT
from sluice.buffer.loss import LossReason
from sluice.core import Core
from sluice.diagnostics import DiagnosticKind, Diagnostics
from sluice.encode.head import DEFAULT_SEVERITY, SEVERITY_NUMBERS, Head, severity_number
from sluice.encode.value import Oversized, error_text, plain
from sluice.limits import (
    CATCH_UP_S,
    CATCH_UPS,
    EVENT_BYTES,
    FAST_FIELDS,
    FAST_TEXT_CHARS,
    FLUSH_MARK_MS,
    NAME_BYTES,
    NUMBER_OPTIONS,
    STALLED_S,
    WAKE_EVENTS,
)
from sluice.options import Settings
from sluice.snapshot import snapshot

_monotonic_ns = time.monotonic_ns
_INT64 = 2**63


@dataclass(frozen=True)
class FlushResult:
    """What `flush` and `close` achieved."""

    #: Whether everything logged before the call is acknowledged: on the collector's disk, or counted there as lost.
    acknowledged: bool
    #: Events that are not acknowledged at the moment.
    pending: int
    #: How many of these lie in the spool's file, where they survive the process; None without a spool directory.
    spooled: int | None = None


@dataclass(frozen=True)
class LoggerStats:
    """The counters of one moment."""

    #: Log calls. Always equal to `acknowledged` + the sum of `dropped` + `buffered_events`.
    logged: int
    #: Events on the collector's disk (rejected ones included: they are handled, and recorded there).
    acknowledged: int
    #: Events that were not and will not be delivered, by reason.
    dropped: Mapping[LossReason, int]
    #: Fields that were left out because they cannot be encoded or break a limit, names that were cut, and reserved
    #: names that were used for something else.
    field_errors: int
    #: Bytes of events in memory.
    buffered_bytes: int
    #: Events that are not acknowledged, in memory or in the spool.
    buffered_events: int
    #: Those of them that are in the spool's file. Without a spool directory: 0.
    spooled_events: int
    #: Bytes of the spool's files.
    spooled_bytes: int
    #: Calls made to the collector.
    calls: int
    #: Requests that were sent again after a failure.
    resends: int
    #: Events that the collector rejected for breaking a limit; it names at most 1,000 a call.
    rejected: int
    #: Sequence numbers that the collector had already when they came again.
    duplicates: int
    #: The last failed call, in words.
    last_error: str | None


class Logger:
    """Logs events to a collector. Made by `sluice.init`.

    No method raises or waits for a network or a disk, whatever its arguments and whatever the collector does, but for
    `flush` and `close`, which wait as long as they are told. Everything may be called at any time and on any thread, in
    coroutines, in signal handlers and in finalizers.

    After a fork the same object is another producer in the child, with an empty buffer; what the parent had logged
    stays the parent's. A logger that is pickled, as an argument of a process that is spawned, is made anew there
    with the same options and the same run.
    """

    def __init__(
        self,
        settings: Settings,
        make_core: Callable[[], Core],
        diagnostics: Diagnostics,
        *,
        given: Mapping[str, object] | None = None,
        forget: Callable[[Logger], None] = lambda logger: None,
    ) -> None:
        """`given`: the options that make the same logger in another process; `forget` is called once it is closed."""
        self._settings = settings
        self._make_core = make_core
        self._diagnostics = diagnostics
        self._given = dict(given or {})
        self._forget = forget
        self._begin()

    def _begin(self) -> None:
        self._core = self._make_core()
        self._intake = self._core.intake
        self._closing = threading.Lock()
        self._closing_thread = 0
        self._closed: FlushResult | None = None
        #: Whether the program has closed it, and whether it was told then that it logs on.
        self._is_closed_by_program = False
        self._is_lateness_told = False

    @property
    def producer_id(self) -> str:
        """This logger's id, a UUIDv7 in its usual text form; `producer_id` in the tables. Another one after a fork."""
        return self._core.producer_id

    @property
    def run(self) -> str:
        """The run that its events belong to; `run_id` in the tables."""
        return self._settings.run

    @property
    def is_closed(self) -> bool:
        """Whether `close` has begun; what is logged now is lost, and counted as such."""
        return self._core.intake.closed_to == CLOSED_TO_ALL

    @property
    def project(self) -> str:
        """What the run belongs to; `project` in the tables."""
        return self._settings.project

    def event(self, name: str, /, **fields: object) -> None:
        """Logs one event. Numbers (Python's, NumPy's, PyTorch's, tensors without dimensions) become metrics, everything
        else attributes: text as it is, booleans as "true" and "false", integers beyond 2^53 in decimal, dates in ISO
        8601, exceptions as their traceback, lists, arrays and objects as JSON. A field that is None is left out.

        These names are reserved:

        - `step`: training step or request number, a whole number of 64 bits;
        - `time`: when it happened, as a `datetime`, in seconds since 1970 as a float, or in nanoseconds as an int;
          default now;
        - `severity`: "debug", "info", "warning", "error", "critical", or a number from 1 to 24; default 9 (INFO);
        - `body`: text for people;
        - `trace_id`, `span_id`: 32 and 16 hexadecimal digits, or 16 and 8 bytes.

        A value that is none of these stays a field, and is reported.
        """
        if type(name) is str and len(name) <= NAME_BYTES and len(fields) <= FAST_FIELDS:
            for value in fields.values():
                kind = type(value)
                if kind is float:
                    continue
                if kind is int:
                    if -_INT64 <= value < _INT64:  # type: ignore[operator]
                        continue
                elif kind is str:
                    if len(value) <= FAST_TEXT_CHARS:  # type: ignore[arg-type]
                        continue
                elif kind is bool or value is None:
                    continue
                break
            else:
                # In one step, so that nothing can come between; see Intake.
                intake = self._intake
                items = intake.items
                if len(items) < intake.limit:
                    items.extend((_monotonic_ns(), name, fields))
                    if intake.limit == 0:
                        # The thread went idle between the two lines above.
                        self._look_around(self._core)
                    return
        self._log(name, fields)

    def metrics(
        self, values: Mapping[str, object], step: int | None = None, *, name: str = "metrics"
    ) -> None:
        """Logs the values of a mapping as one event, whatever their names: `log.metrics({"loss": 0.1}, step=5)`."""
        try:
            if not isinstance(values, Mapping):
                self.event(name, values=values, step=step)
                return
            kept_name = self._name(name)
        except Exception:
            # An object that does not even say what it is.
            self._note_field_error(f"metrics of type {type(values).__name__} are left out")
            values, kept_name = {}, "metrics"
        try:
            kept = step if type(step) is int else plain(step)
        except Exception:
            kept = None
            self._note_field_error(f"a step of type {type(step).__name__} is left out")
        self._log(Head(kept_name, step=kept, is_literal=True), values)

    def debug(self, body: str, /, **fields: object) -> None:
        """Logs text for people, as an event named "log" of severity 5. Fields as for `event`."""
        self._text(SEVERITY_NUMBERS["debug"], body, fields)

    def info(self, body: str, /, **fields: object) -> None:
        """The same of severity 9."""
        self._text(SEVERITY_NUMBERS["info"], body, fields)

    def warning(self, body: str, /, **fields: object) -> None:
        """The same of severity 13."""
        self._text(SEVERITY_NUMBERS["warning"], body, fields)

    def error(self, body: str, /, **fields: object) -> None:
        """The same of severity 17."""
        self._text(SEVERITY_NUMBERS["error"], body, fields)

    def exception(self, body: str, /, **fields: object) -> None:
        """The same as `error`, with the exception that is being handled, in the fields `exception.type`,
        `exception.message` and `exception.stacktrace`."""
        self._text(SEVERITY_NUMBERS["error"], body, {**exception_fields(sys.exc_info()[1]), **fields})

    def timer(self, name: str, /, **fields: object) -> Timer:
        """A context that logs an event with `duration_s` when it ends: `with log.timer("data.load", step=120): …`. If
        it ends by an exception, the event has severity 17 and says which, and the exception goes on."""
        return Timer(self, name, fields)

    def flush(self, timeout: float | None = None) -> FlushResult:
        """Sends everything and waits until all that was logged before is acknowledged, or for `timeout` seconds
        (default `flush_timeout_ms`, 30 s). The collector commits it at once instead of waiting for more, so that it
        shows in SQL a moment later. In offline mode, waits until all of it is on the disk."""
        result = self._closed
        if result is not None:
            return result
        return self._flush(_timeout_s(timeout, self._settings.flush_timeout_ms))

    def close(self, timeout: float | None = None) -> FlushResult:
        """Flushes for at most `timeout` seconds (default `close_timeout_ms`, 5 s) and stops. What is left stays in the
        spool, if there is one, or else is counted as lost (`closed`), and so is what is logged from now on, which is
        said once. Called again, it returns the same result."""
        timeout_s = _timeout_s(timeout, self._settings.close_timeout_ms)
        self._is_closed_by_program = True
        return self._close(timeout_s, f"the logger was closed after {timeout_s:g} s")

    def stats(self) -> LoggerStats:
        """The counters of this moment."""
        core = self._core
        buffer, intake, counts = core.buffer, core.intake, core.deliverer.counts
        for _ in range(10):
            number = buffer.changing.start()
            waiting = intake.events + buffer.in_hand
            drops = intake.waiting_drops()
            dropped = {reason: count + drops[reason] for reason, count in buffer.dropped.items()}
            if buffer.is_closed:
                # Logged at the very moment of closing.
                dropped["closed"] += waiting
            stats = LoggerStats(
                logged=buffer.logged + waiting + sum(drops.values()),
                acknowledged=buffer.acknowledged,
                dropped=dropped,
                field_errors=buffer.field_errors + sum(tuple(intake.field_errors)),
                buffered_bytes=buffer.buffered_bytes + intake.text_bytes,
                buffered_events=buffer.buffered_events + (0 if buffer.is_closed else waiting),
                spooled_events=buffer.spooled_events,
                spooled_bytes=core.outlet.spooled_bytes,
                calls=counts.calls,
                resends=counts.resends,
                rejected=counts.rejected,
                duplicates=counts.duplicates,
                last_error=counts.last_error,
            )
            if buffer.changing.unchanged(number):
                break
        return stats

    def __enter__(self) -> Logger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sluice.Logger of run {self.run!r}, producer {self.producer_id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        from sluice.create import revive

        # Whatever takes its diagnostics is of this process.
        given = {name: value for name, value in self._given.items() if name != "on_diagnostic"}
        return revive, (self.producer_id, {**given, "run": self.run})

    # What follows is for the SDK's own use.

    def report(self, kind: DiagnosticKind, message: str) -> None:
        """Says what is wrong beside the logging itself, such as a package that is missing."""
        self._diagnostics.report(kind, lambda: message)

    @property
    def exit_timeout_s(self) -> float:
        """How long it may hold up the end of the process."""
        return self._settings.exit_timeout_ms / 1000

    @property
    def is_closing_here(self) -> bool:
        """Whether it is being closed on this very thread, and not done yet."""
        return self._closed is None and self._closing_thread == threading.get_ident()

    def at_exit(self, timeout_s: float, is_last: bool) -> None:
        """Delivers what is left; see process_exit.py."""
        if is_last:
            self._close(timeout_s, "the process ended")
        else:
            self.flush(timeout_s)

    def after_fork(self) -> None:
        """From here on another producer. Nothing of the parent's is touched: another thread may have held its locks."""
        if self._closed is None:
            # First, so that whatever happens nothing of the parent's is delivered from here.
            self._intake.closed_to = CLOSED_TO_ALL
            self._intake.limit = 0
            self._begin()

    def log_unhandled(self, error: BaseException, where: str) -> None:
        """Logs an exception that ends the process, or a thread."""
        fields = {**exception_fields(error), "thread": where}
        body = f"{fields['exception.type']}: {fields['exception.message']}"
        # Somebody pressed Ctrl-C; the program did nothing wrong.
        level = "warning" if isinstance(error, KeyboardInterrupt) else "critical"
        self._log(Head("exception", SEVERITY_NUMBERS[level], body, is_literal=True), fields)

    def log_record(self, severity: int, body: str, fields: Mapping[str, object]) -> None:
        """Logs text whose fields have names that mean nothing here."""
        self._log(Head("", severity, body, is_literal=True), fields)

    def _text(self, severity: int, body: str, fields: Mapping[str, object]) -> None:
        try:
            text = body if type(body) is str else str(body)
        except Exception:
            text = f"a body of type {type(body).__name__} that has no text"
        self._log(Head("", severity, text), fields)

    def _log(self, head: str | Head, fields: Mapping[Any, object]) -> None:
        """The long way of an event: whatever it has, and whatever the state of the logger."""
        core = self._core
        intake = core.intake
        try:
            if type(head) is not Head:
                head = self._name(head)
                severity, is_literal, size = DEFAULT_SEVERITY, False, 0
            else:
                severity, is_literal = head.severity, head.is_literal
                size = 0 if head.body is None else len(head.body)
            if not is_literal and "severity" in fields:
                severity = severity_number(fields["severity"]) or severity
            if severity <= intake.closed_to:
                is_closed = intake.closed_to == CLOSED_TO_ALL
                self._drop(core, "closed" if is_closed else "buffer_full")
                if is_closed and self._is_closed_by_program and not self._is_lateness_told:
                    self._tell_lateness(_shown(head))
                return
            kept = snapshot(fields, is_literal)
            size += kept.size
            if kept.field_errors:
                self._note_field_error(f"an event {_shown(head)}: {kept.problem}", kept.field_errors)
            if size > EVENT_BYTES:
                self._drop(core, "too_large")
                return
            if not (intake.has_place() or self._catches_up(core, severity)):
                self._drop(core, "buffer_full")
                return
            if size > FAST_TEXT_CHARS:
                intake.count_text(size)
            intake.items.extend((_monotonic_ns(), head, kept.fields))
            if len(intake.items) >= intake.limit:
                self._look_around(core)
        except Oversized:
            self._drop(core, "too_large")
        except Exception as error:
            intake.problem = f"an event could not be encoded and is lost: {type(error).__name__}"
            self._drop(core, "encoding")

    def _name(self, name: object) -> str:
        """The name as it is kept: text, and not much of it, because it waits in memory."""
        if isinstance(name, str):
            # One character more than is sent, so that it is still known to be cut.
            return str.__str__(name)[: NAME_BYTES + 1]
        self._note_field_error(
            f"the name of an event is of type {type(name).__name__}; it is logged as 'log'"
        )
        return ""

    def _note_field_error(self, problem: str, count: int = 1) -> None:
        """To be reported by the delivery's thread, because a log call writes to nowhere."""
        intake = self._core.intake
        intake.problem = problem
        intake.field_errors.append(count)

    def _drop(self, core: Core, reason: LossReason) -> None:
        intake = core.intake
        intake.drop(reason)
        # The loss itself has to be delivered. While the buffer is full, the thread is at work anyway.
        if intake.closed_to == 0:
            self._look_around(core)

    def _tell_lateness(self, event: str) -> None:
        """Says once that somebody logs after `close`, unless the process ends before it is said. Not when the process
        ends, which closes a logger while threads still log: that is nobody's mistake."""
        self._is_lateness_told = True

        def tell() -> None:
            self._diagnostics.report(
                "closed",
                lambda: (
                    f"event {event} of run {self.run} was logged after close() and is lost, as is all that follows "
                    "(stats().dropped['closed']); close the logger after the last event, or make a new one with "
                    "sluice.init()"
                ),
            )

        try:
            # The delivery's thread is gone, and a log call does not wait for whoever reads stderr.
            _thread.start_new_thread(tell, ())
        except RuntimeError:
            # The interpreter ends, or there are no more threads.
            pass

    def _catches_up(self, core: Core, severity: int) -> bool:
        """Whether the event may wait to be gathered after all. While threads log faster than one of them can gather,
        each waits a moment, so that it gets its turn; if it does not gather at all, nobody waits for it."""
        intake = core.intake
        for attempt in range(CATCH_UPS):
            core.deliverer.notice_sealed()
            if time.monotonic() - intake.gathered_s > STALLED_S or severity <= intake.closed_to:
                return False
            time.sleep(CATCH_UP_S * 2**attempt)
            if intake.has_place():
                return severity > intake.closed_to
        return False

    def _look_around(self, core: Core) -> None:
        """Wakes the delivery's thread if need be, and says how many may follow without asking."""
        intake = core.intake
        if intake.closed_to == CLOSED_TO_ALL:
            return
        if intake.limit == 0 and intake.closed_to == 0:
            intake.limit = min(PER_EVENT * WAKE_EVENTS, intake.items_max)
            core.deliverer.notice_open()
        elif len(intake.items) >= intake.limit:
            if intake.closed_to == 0:
                intake.limit = intake.items_max
            core.deliverer.notice_sealed()

    def _target(self) -> int:
        """The number of what was logged last."""
        core = self._core
        buffer, intake = core.buffer, core.intake
        for _ in range(10):
            number = buffer.changing.start()
            waiting = intake.events + buffer.in_hand
            target = buffer.logged + waiting + sum(intake.waiting_drops().values())
            if buffer.changing.unchanged(number):
                break
        return target

    @property
    def _pending(self) -> int:
        core = self._core
        return core.buffer.buffered_events + core.buffer.in_hand + core.intake.events

    def _flush(self, timeout_s: float) -> FlushResult:
        core = self._core
        target = self._target()
        # A thread is not started for nothing, which is what a child has logged that only forked.
        acknowledged = target == 0 or core.deliverer.wait_for(target, timeout_s)
        return self._result(acknowledged, self._pending)

    def _result(self, acknowledged: bool, pending: int) -> FlushResult:
        spooled = self._core.buffer.spooled_events if self._settings.spool_dir is not None else None
        return FlushResult(acknowledged, pending, spooled)

    def _close(self, timeout_s: float, when: str) -> FlushResult:
        """Closes it once, whoever comes first; others wait for him."""
        me = threading.get_ident()
        is_mine = self._closing_thread == me
        if not self._closing.locked():
            # Before the lock is taken: a signal that comes between finds out whose it is.
            self._closing_thread = me
        if not self._closing.acquire(blocking=False):
            if is_mine:
                # In a signal handler in the middle of closing, which goes on when that returns, if it does.
                return self._flush(timeout_s)
            deadline_s = time.monotonic() + timeout_s
            while self._closed is None and time.monotonic() < deadline_s:
                time.sleep(0.005)
            if self._closed is not None:
                # A signal may have come when it looked as if this thread would close it.
                self._forget(self)
            return self._closed or self._result(False, self._pending)
        self._closing_thread = me
        if self._closed is None:
            self._closed = self._finish(timeout_s, when)
            self._forget(self)
        self._closing.release()
        return self._closed

    def _finish(self, timeout_s: float, when: str) -> FlushResult:
        core = self._core
        core.intake.closed_to = CLOSED_TO_ALL
        core.intake.limit = 0
        result = self._flush(timeout_s)
        if result.acknowledged and self._target() > 0:
            core.deliverer.marked(min(timeout_s, FLUSH_MARK_MS / 1000))
        pending, losses = self._pending, core.buffer.pending - core.buffer.buffered_events
        core.outlet.close(result.acknowledged)
        if not result.acknowledged:
            if core.outlet.has_spool:
                self._report_spooled(when, pending)
            else:
                self._report_undelivered(when, pending, losses)
        return self._result(result.acknowledged, pending)

    def _report_undelivered(self, when: str, events: int, losses: int) -> None:
        and_losses = f" and {losses} losses" if losses > 0 else ""
        self._diagnostics.report(
            "undelivered",
            lambda: (
                f"{events} events{and_losses} of run {self.run} were not acknowledged when {when}{self._because()}"
            ),
        )

    def _report_spooled(self, when: str, pending: int) -> None:
        """So many events were left, some of which may be lost by now."""
        settings, outlet = self._settings, self._core.outlet
        spooled = self._core.buffer.spooled_events
        if pending > spooled:
            self._diagnostics.report(
                "undelivered",
                lambda: (
                    f"{pending - spooled} events of run {self.run} were not acknowledged when {when}, and could not be "
                    f"spooled to {settings.spool_dir} (spool_bytes is {settings.spool_bytes}){self._because()}"
                ),
            )
        if outlet.spooled_bytes == 0:
            return
        command = f"sluice-sync {shlex.quote(settings.spool_dir or '')}"
        if settings.mode == "offline":
            message = f"are in the spool (mode is offline); deliver them with: {command}"
        else:
            message = (
                f"were not acknowledged when {when} and are in the spool{self._because()}; the next logger with that "
                f"directory delivers them, or: {command}"
            )
        self._diagnostics.report("spooled", lambda: f"{spooled} events of run {self.run} {message}")

    def _because(self) -> str:
        error = self._core.deliverer.counts.last_error
        return "" if error is None else f"; last error: {error}"


class Timer:
    """Logs how long something took. Made by `Logger.timer`; `add` gives the event more fields before it ends."""

    def __init__(self, logger: Logger | None, name: str, fields: Mapping[str, object]) -> None:
        self._logger = logger
        self._name = name
        self._fields = dict(fields)
        self._started_ns = 0

    def add(self, **fields: object) -> None:
        """More fields for the event."""
        self._fields.update(fields)

    def __enter__(self) -> Timer:
        self._started_ns = _monotonic_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        duration_s = (_monotonic_ns() - self._started_ns) / 1e9
        failed = {} if error is None else {"severity": SEVERITY_NUMBERS["error"], **exception_fields(error)}
        if self._logger is not None:
            self._logger.event(self._name, **{"duration_s": duration_s, **failed, **self._fields})


def exception_fields(error: BaseException | None) -> dict[str, object]:
    """An exception in OpenTelemetry's words."""
    if error is None:
        return {}
    try:
        message = str(error)
    except Exception:
        message = "an exception whose text cannot be made"
    try:
        stacktrace = error_text(error)
    except Exception:
        stacktrace = ""
    return {
        "exception.type": type(error).__qualname__,
        "exception.message": message,
        "exception.stacktrace": stacktrace,
    }


def _timeout_s(timeout: object, default_ms: int) -> float:
    if isinstance(timeout, (int, float)) and timeout >= 0:
        return float(min(timeout, NUMBER_OPTIONS["flush_timeout_ms"].max / 1000))
    return default_ms / 1000


def _shown(head: str | Head) -> str:
    name = head.name if isinstance(head, Head) else head
    return repr((name or "log")[:100])
