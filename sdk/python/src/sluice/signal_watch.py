from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

#: How long the handler may take to begin by itself; then it is asked for, again and again.
_PATIENCE_S = 0.1
_HALT = 0


class SignalWatch:
    """Sees to it that the handler of a signal runs though the main thread waits for something that never comes.

    Python runs a handler on the main thread, when that gets to it. A signal does not wake that thread if it comes after
    its last step before it waits in the system, which takes as long as to hand over the interpreter if another thread
    is at work; nor if the thread has just been woken for a lock that somebody else then takes. So a worker of a
    multiprocessing.Pool waits for a lock that the pool never gives back, and the pool for its worker (measured on 2
    busy cores: 4 pools of 100). The default action of the system knows no such moments; so whoever puts a handler in
    its place has to close them.

    Python writes each signal that comes to a descriptor. A thread reads it, and if the handler does not begin, sends
    the signal again to the main thread, which waits by now, and so is woken.
    """

    def __init__(self, number: int, handler: Callable[..., object]) -> None:
        self._number = number
        self._handler = handler
        self._ends: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None
        self._asking = threading.Lock()
        self._has_begun = False
        self._has_asked = False

    def start(self) -> None:
        """Idempotent. Raises ValueError unless on the main thread. Does nothing where there is no way to send a signal
        to a thread, or if somebody else in the process has Python's signals written."""
        if self._ends is not None or not hasattr(signal, "pthread_kill"):
            return
        other = signal.set_wakeup_fd(-1)
        if other != -1:
            signal.set_wakeup_fd(other)
            return
        try:
            self._ends = ends = os.pipe()
        except OSError:
            # There are no more descriptors.
            return
        os.set_blocking(ends[1], False)
        signal.set_wakeup_fd(ends[1], warn_on_full_buffer=False)
        self._run_thread(ends[0])

    def begin(self) -> bool:
        """The handler has begun. False if it runs once more only because of what the watch has sent."""
        if self._has_begun:
            return not self._has_asked
        self._has_begun = True
        # From here on the watch sends nothing.
        with self._asking:
            pass
        if self._has_asked:
            # What it has sent has come when this returns, and so finds the handler still in its place.
            signal.sigpending()
        return True

    def halt(self) -> None:
        """The process is about to fork: the thread ends, so that a child inherits nothing of it."""
        thread, self._thread = self._thread, None
        if thread is not None and self._ends is not None:
            try:
                os.write(self._ends[1], bytes([_HALT]))
            except OSError:
                return
            thread.join(_PATIENCE_S * 2)

    def go_on(self) -> None:
        """The process has forked, and this is the parent."""
        if self._ends is not None and self._thread is None:
            self._run_thread(self._ends[0])

    def abandon(self) -> None:
        """The process has forked, and this is the child, whose signals are not the parent's."""
        ends, self._ends, self._thread = self._ends, None, None
        self._asking = threading.Lock()
        self._has_begun = self._has_asked = False
        if ends is not None:
            other = signal.set_wakeup_fd(-1)
            if other not in (-1, ends[1]):
                signal.set_wakeup_fd(other)
            os.close(ends[0])
            os.close(ends[1])

    def _run_thread(self, end: int) -> None:
        thread = threading.Thread(target=self._run, args=(end,), name="sluice-signals", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system has no more threads, or the interpreter ends.
            return
        self._thread = thread

    def _run(self, end: int) -> None:
        while True:
            for number in os.read(end, 64):
                if number == _HALT:
                    return
                if number == self._number:
                    self._ask_until_it_begins()

    def _ask_until_it_begins(self) -> None:
        while True:
            time.sleep(_PATIENCE_S)
            with self._asking:
                # The program may have put a handler of its own in its place.
                if self._has_begun or signal.getsignal(self._number) is not self._handler:
                    return
                self._has_asked = True
                main = threading.main_thread().ident
                if main is not None:
                    signal.pthread_kill(main, self._number)
