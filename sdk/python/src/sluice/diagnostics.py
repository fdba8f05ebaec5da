"""How the SDK says that something is wrong, without ever being in the way."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from sluice.limits import DIAGNOSTIC_INTERVAL_MS

#: What can go wrong, as a closed set, so that a callback can switch on it.
DiagnosticKind = Literal[
    "option",  # a bad option or environment variable was ignored
    "encoding",  # an event or a field could not be encoded, or a reserved name was used for something else
    "too_large",  # an event was larger than 1 MiB
    "buffer_full",  # events are being dropped
    "unreachable",  # the collector does not answer; it is tried again
    "reached",  # it answers again, after it was said that it does not
    "overloaded",  # the collector asks to wait
    "refused",  # the collector does not take what this logger sends
    "rejected",  # the collector rejected single events for breaking a limit
    "rewind",  # collector and logger disagree about what was stored
    "undelivered",  # the logger was closed or the process ended before everything was acknowledged
    "closed",  # something was logged after the logger was closed
    "spool",  # the spool cannot be written or read, or something in it is damaged
    "spooled",  # the logger was closed or the process ended, and what was not acknowledged is in the spool
    "system",  # something that sluice.system_metrics samples cannot be sampled
    "bug",  # a fault of the SDK itself
]


class Diagnostic(NamedTuple):
    """One problem, in words. `suppressed`: how many of its kind were held back since the last one reported."""

    kind: DiagnosticKind
    message: str
    suppressed: int


#: Never held back, because it follows one that was not.
_ANSWERS: tuple[DiagnosticKind, ...] = ("reached",)


class Diagnostics:
    """One line a kind in ten minutes at most, on stderr or to a callback; `reached` follows each `unreachable` that was
    said. Never raises; any thread."""

    def __init__(
        self,
        report: Callable[[Diagnostic], None] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report or write_line
        self._monotonic_s = monotonic_s
        #: No lock, because a signal handler may come between: a line too many is the worst that can happen.
        self._reported_s: dict[DiagnosticKind, float] = {}
        self._suppressed: dict[DiagnosticKind, int] = {}

    def report(self, kind: DiagnosticKind, message: Callable[[], str]) -> bool:
        """Whether it is shown. The message is made only then: a full buffer reports every event that it drops."""
        now_s = self._monotonic_s()
        reported_s = None if kind in _ANSWERS else self._reported_s.get(kind)
        if reported_s is not None and (now_s - reported_s) * 1000 < DIAGNOSTIC_INTERVAL_MS:
            self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
            return False
        self._reported_s[kind] = now_s
        suppressed = self._suppressed.pop(kind, 0)
        try:
            self._report(Diagnostic(kind, message(), suppressed))
        except Exception:
            # A callback that raises must not reach the job's log call.
            pass
        return True


def write_line(diagnostic: Diagnostic) -> None:
    """One line on stderr, however little is left of stderr."""
    kind, message, suppressed = diagnostic
    more = f" (and {suppressed} more like it)" if suppressed else ""
    line = f"sluice: {kind}: {message}{more}\n"
    stderr = sys.stderr
    encoding = "utf-8"
    try:
        # None under pythonw, and while the interpreter goes down.
        if stderr is not None:
            if not _is_own(stderr):
                stderr.write(line)
                stderr.flush()
                return
            encoding = stderr.encoding
    except (OSError, ValueError, RuntimeError):
        # Closed, or being written to by the very code that a signal handler interrupted.
        pass
    try:
        os.write(2, line.encode(encoding, "backslashreplace"))
    except OSError:
        pass


def _is_own(stderr: object) -> bool:
    """Whether it is the process's own and nothing that stands in for it, such as a notebook's. That is not written
    through: a thread that waits for a pipe that nobody reads would hold a lock that the end of the process waits for.
    But on Windows, where a console takes no bytes."""
    if os.name != "posix" or stderr is not sys.__stderr__ or type(stderr) is not io.TextIOWrapper:
        return False
    try:
        return stderr.fileno() == 2
    except (OSError, ValueError):
        return False
