from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

#: How long the handler may take to begin by itself; then the main thread is woken, again and again.
_PATIENCE_S = 0.1
_HALT = b"\0"
#: Wakes the main thread. Hardly a program uses it, and where it has no handler it does nothing.
_WAKE = getattr(signal, "SIGURG", None)


class SignalWatch:
    """Sees to it that the handler of a signal runs though the main thread waits for something that never comes.

    Python runs a handler on the main thread, when that gets to it. A signal does not wake that thread if it comes after
    its last step before it waits in the system, which takes as long as to hand over the interpreter if another thread
    is at work; nor if the thread has just been woken for a lock that somebody else then takes. So a worker of a
    multiprocessing.Pool waits for a lock that the pool never gives back, and the pool for its worker (measured on 2
    busy cores: 4 pools of 100). The default action of the system knows no such moments; so whoever puts a handler in
    its place has to close them.

    Python writes each signal that comes to a descriptor. A thread reads it, and if the handler does not begin, wakes
    the main thread, which waits by now, by another signal. Python then runs the handlers of all signals that have come.
    The same signal once more would be one too many for a program that has handled the first by itself.
    """

    def __init__(self, number: int, handler: Callable[..., object]) -> None:
        self._number = number
        self._handler = handler
        self._ends: tuple[_End, _End] | None = None
        #: And what tells that thread alone that it is to end.
        self._thread: tuple[threading.Thread, threading.Event] | None = None
        self._starting = threading.Lock()
        #: The signal has come, and perhaps the main thread does not know yet.
        self._is_unseen = False

    def start(self) -> None:
        """Idempotent. Raises ValueError unless on the main thread. Does nothing where there is no way to send a signal
        to a thread, or if somebody else in the process has Python's signals written or uses the one that wakes."""
        if self._ends is not None or _WAKE is None or not hasattr(signal, "pthread_kill"):
            return
        if signal.getsignal(_WAKE) is not signal.SIG_DFL:
            return
        other = signal.set_wakeup_fd(-1)
        if other != -1:
            _set_wakeup(other)
            return
        try:
            reading, writing = os.pipe()
        except OSError:
            # There are no more descriptors.
            return
        os.set_blocking(writing, False)
        self._ends = (_End(reading), _End(writing))
        signal.signal(_WAKE, self._on_wake)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self.go_on()

    def halt(self) -> None:
        """The process is about to fork: the thread ends, so that a child inherits nothing of it."""
        running, self._thread = self._thread, None
        if running is None or self._ends is None:
            return
        thread, halting = running
        halting.set()
        # If it reads.
        self._ends[1].write(_HALT)
        try:
            thread.join(_PATIENCE_S * 2)
        except RuntimeError:
            # Another thread is starting it at this moment.
            pass

    def go_on(self) -> None:
        """The process has forked, and this is the parent."""
        # Whoever comes while another starts it leaves that to him.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._ends is not None and self._thread is None:
                self._run_thread(*self._ends)
        finally:
            self._starting.release()

    def abandon(self) -> None:
        """The process has forked, and this is the child, whose signals are not the parent's."""
        ends, self._ends, self._thread = self._ends, None, None
        # Another thread may have held it.
        self._starting = threading.Lock()
        self._is_unseen = False
        if ends is None:
            return
        other = _set_wakeup(-1)
        if other != -1 and not (other == ends[1].number and ends[1].is_ours):
            _set_wakeup(other)
        for end in ends:
            end.close()
        try:
            if _WAKE is not None and signal.getsignal(_WAKE) == self._on_wake:
                signal.signal(_WAKE, signal.SIG_DFL)
        except ValueError:
            pass

    def _run_thread(self, reading: _End, writing: _End) -> None:
        halting = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(reading, writing, halting), name="sluice-signals", daemon=True
        )
        self._thread = (thread, halting)
        try:
            thread.start()
        except RuntimeError:
            # The system has no more threads, or the interpreter ends.
            self._thread = None

    def _run(self, reading: _End, writing: _End, halting: threading.Event) -> None:
        while True:
            # Perhaps from before a fork.
            self._wake_until_it_is_seen(halting)
            if halting.is_set():
                return
            numbers = reading.read()
            if not numbers:
                # The program has closed it.
                return
            if self._number in numbers:
                if halting.is_set():
                    # For the next one, which may read already.
                    writing.write(bytes([self._number]))
                    return
                self._is_unseen = True
                if not self._is_handler_there():
                    self._is_unseen = False

    def _wake_until_it_is_seen(self, halting: threading.Event) -> None:
        while self._is_unseen and not halting.wait(_PATIENCE_S):
            main = threading.main_thread().ident
            if not self._is_handler_there() or main is None:
                self._is_unseen = False
            elif self._is_unseen and _WAKE is not None:
                signal.pthread_kill(main, _WAKE)

    def _is_handler_there(self) -> bool:
        """It is not once it has begun, or if the program has put one of its own in its place."""
        return (
            _WAKE is not None
            and signal.getsignal(self._number) is self._handler
            and signal.getsignal(_WAKE) == self._on_wake
        )

    def _on_wake(self, number: int, frame: FrameType | None) -> None:
        """Runs on the main thread, after the handlers of all that came before."""
        self._is_unseen = False


class _End:
    """One end of a pipe. A program may close it, as daemons do with all that they inherit; then its number is another
    file's some time."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._file = _file_of(number)

    @property
    def is_ours(self) -> bool:
        return self._file is not None and _file_of(self.number) == self._file

    def read(self) -> bytes:
        """What there is, at least one byte; nothing if it is not ours any more."""
        try:
            data = os.read(self.number, 64) if self.is_ours else b""
        except OSError:
            return b""
        return data if self.is_ours else b""

    def write(self, data: bytes) -> None:
        try:
            if self.is_ours:
                os.write(self.number, data)
        except OSError:
            # It is full.
            pass

    def close(self) -> None:
        try:
            if self.is_ours:
                os.close(self.number)
        except OSError:
            pass


def _file_of(number: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_wakeup(number: int) -> int:
    """Returns what was there before, or -1."""
    try:
        return signal.set_wakeup_fd(number)
    except (ValueError, OSError):
        # Its owner has closed it.
        return -1
