"""The one thread of a logger that sends, and how it stands still while its process forks."""

from __future__ import annotations

import heapq
import itertools
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from sluice.limits import FORK_WAIT_MS

from .loop import Timer


class DeliveryThread:
    """A loop on a daemon thread of its own, which starts with the first thing that is posted. Implements `Loop`.

    Invariants:
    1. What is posted runs in order, and so does what is due. They take turns: of what is there at one moment, first
       everything that was posted, so that an answer that has arrived is seen before its timeout, then every timer that
       is due, so that no flood of the one holds up the other.
    2. While the process forks, the thread is gone: it has no lock, no descriptor under way and no library call open
       that a child could inherit. In the parent it goes on afterwards; a child never has it.
    3. It ends only by `stop`, and never keeps the process alive.
    """

    def __init__(
        self,
        name: str,
        *,
        report_bug: Callable[[BaseException], None],
        pause: Callable[[], None] = lambda: None,
        resume: Callable[[], None] = lambda: None,
        fork_wait_ms: int = FORK_WAIT_MS,
    ) -> None:
        """
        pause:        run on the thread before it stands still for a fork; must leave nothing open.
        resume:       run on the thread when it goes on.
        fork_wait_ms: how long a fork waits for it.
        """
        self.fork_wait_ms = fork_wait_ms
        self._name = name
        self._report_bug = report_bug
        self.pause = pause
        self.resume = resume
        # Both may be used in a signal handler or a finalizer that interrupts them, unlike what is written in Python.
        self._posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        #: What is to run now, before anybody looks for more.
        self._ready: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        #: Whether a fork waits for the thread to be gone.
        self._is_halting = False
        self._halting: threading.Thread | None = None
        self._is_paused = False
        _loops.add(self)

    def now_ms(self) -> float:
        return time.monotonic() * 1000

    def call_later(self, delay_ms: float, run: Callable[[], None]) -> Timer:
        timer = Timer(run)
        heapq.heappush(self._timers, (self.now_ms() + max(0.0, delay_ms), next(self._order), timer))
        return timer

    def post(self, run: Callable[[], None]) -> None:
        if self._is_stopped:
            return
        self._posted.put(run)
        if self._thread is None and not self._is_halting:
            self._start()

    def start(self) -> None:
        """Starts the thread, if it does not run yet."""
        self.post(_nothing)

    @property
    def can_run(self) -> bool:
        """Whether what is posted will run: false if no thread can be made, or the loop was stopped."""
        return not self._is_stopped and (self._thread is not None or self._is_halting)

    @property
    def is_current(self) -> bool:
        """Whether this is the loop's own thread."""
        return self._thread is threading.current_thread()

    def stop(self, timeout_s: float) -> None:
        """Ends the thread after what was posted before, and waits for it until the deadline. Idempotent."""
        thread = self._thread
        if not self._is_stopped:
            self._posted.put(self._stop)
            if thread is None and not self._is_halting:
                self._is_stopped = True
        if thread is not None and not self.is_current:
            thread.join(max(0.0, min(timeout_s, threading.TIMEOUT_MAX)))

    def halt(self) -> None:
        """Asks the thread to stand still; the process is about to fork."""
        self._is_halting = True
        self._halting = self._thread
        if self.is_current:
            # The fork happens in something that this thread runs.
            self._pause()
        else:
            self._posted.put(_nothing)

    def wait_halted(self, timeout_s: float) -> bool:
        thread, self._halting = self._halting, None
        if thread is None or thread is threading.current_thread():
            return True
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                thread.join(max(0.0, deadline_s - time.monotonic()))
                return not thread.is_alive()
            except RuntimeError:
                # Another thread is starting it at this moment.
                if time.monotonic() > deadline_s:
                    return False
                time.sleep(0.0002)

    def go_on(self) -> None:
        """The process has forked, and this is the parent."""
        self._is_halting = False
        if self.is_current:
            self.post(self._resume)
        elif self._is_paused or not self._posted.empty():
            self._start()

    def abandon(self) -> None:
        """The process has forked, and this is the child: the thread is the parent's alone."""
        self._is_stopped = True

    def _start(self) -> None:
        # Whoever comes while another starts it leaves that to him.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread = thread
                try:
                    thread.start()
                except RuntimeError:
                    # The system has no more threads, or the interpreter ends. What is posted next tries again.
                    self._thread = None
        finally:
            self._starting.release()

    def _run(self) -> None:
        if self._is_paused:
            self._resume()
        while not self._is_stopped:
            if self._is_halting:
                self._pause()
                self._thread = None
                if self._is_halting:
                    return
                # Whoever went on meanwhile may have found the thread still there.
                self._start()
                return
            if not self._ready:
                self._gather_ready()
            if self._ready:
                self._guard(self._ready.popleft())
        # Whoever waits for an answer gets it, though it is that nobody is there any more.
        self._gather_posted()
        while self._ready:
            self._guard(self._ready.popleft())

    def _gather_ready(self) -> None:
        """Looks for what is to run; waits for something if there is nothing, but perhaps in vain."""
        self._gather_posted()
        timers, now_ms = self._timers, self.now_ms()
        while timers and (timers[0][2].is_cancelled or timers[0][0] <= now_ms):
            self._ready.append(heapq.heappop(timers)[2].fire)
        if self._ready:
            return
        timeout_s = min((timers[0][0] - now_ms) / 1000, threading.TIMEOUT_MAX) if timers else None
        try:
            self._ready.append(self._posted.get(timeout=timeout_s))
        except queue.Empty:
            pass

    def _gather_posted(self) -> None:
        try:
            for _ in range(self._posted.qsize()):
                self._ready.append(self._posted.get_nowait())
        except queue.Empty:
            pass

    def _stop(self) -> None:
        self._is_stopped = True

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._guard(self.pause)

    def _resume(self) -> None:
        self._is_paused = False
        self._guard(self.resume)

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:
            # A fault of the SDK must not end what delivers the job's events.
            self._report_bug(error)


def _nothing() -> None:
    """Wakes the thread."""


class _Loops:
    """All loops of the process, for its forks. No lock: a fork may happen while another thread adds one."""

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[DeliveryThread]] = {}

    def add(self, loop: DeliveryThread) -> None:
        key = id(loop)
        references = self._references
        references[key] = weakref.ref(loop, lambda _: references.pop(key, None) and None)

    def all(self) -> list[DeliveryThread]:
        loops = (reference() for reference in list(self._references.values()))
        return [loop for loop in loops if loop is not None]

    def clear(self) -> None:
        self._references.clear()


_loops = _Loops()
#: Forks under way, on several threads perhaps.
_forks = 0
_forks_lock = threading.Lock()
#: Told when the loops stand still, with what is left of the time that a fork waits.
_halted: list[Callable[[float], None]] = []
#: Told in the parent before the loops go on.
_forked: list[Callable[[], None]] = []


def on_halted(run: Callable[[float], None]) -> None:
    """Has something run before each fork, once all loops stand still; it may wait that many seconds."""
    _halted.append(run)


def on_forked(run: Callable[[], None]) -> None:
    """Has something run after each fork in the parent, before the loops go on; on the thread that has forked."""
    _forked.append(run)


def _before_fork() -> None:
    global _forks
    loops = _loops.all()
    with _forks_lock:
        _forks += 1
        for loop in loops:
            loop.halt()
    started_s = time.monotonic()
    for loop in loops:
        loop.wait_halted(max(0.0, started_s + loop.fork_wait_ms / 1000 - time.monotonic()))
    for run in _halted:
        run(max(0.0, started_s + FORK_WAIT_MS / 1000 - time.monotonic()))


def _after_fork_in_parent() -> None:
    try:
        for run in _forked:
            run()
    finally:
        # Whatever interrupts that, as Ctrl-C may.
        _go_on()


def _go_on() -> None:
    global _forks
    with _forks_lock:
        _forks -= 1
        if _forks > 0:
            return
        for loop in _loops.all():
            loop.go_on()


def _after_fork_in_child() -> None:
    global _forks, _forks_lock
    _forks = 0
    # Another thread may have held it.
    _forks_lock = threading.Lock()
    for loop in _loops.all():
        loop.abandon()
    _loops.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
