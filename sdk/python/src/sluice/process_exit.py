"""The end of the process, however it comes: what is left is delivered before, for as long as a logger allows."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Protocol

from sluice.delivery.thread import on_forked, on_halted
from sluice.signal_watch import SignalWatch


class Exiting(Protocol):
    """What the end of the process needs from a logger."""

    @property
    def exit_timeout_s(self) -> float:
        """How long it may hold up the end of the process."""

    @property
    def is_closing_here(self) -> bool:
        """Whether it is being closed on this very thread, and not done yet."""

    def at_exit(self, timeout_s: float, is_last: bool) -> None:
        """Delivers what is left, for so many seconds at most; closes if `is_last`."""

    def after_fork(self) -> None:
        """This process is a child that was forked just now."""

    def log_unhandled(self, error: BaseException, where: str) -> None:
        """An exception ended the process, or a thread."""


#: All loggers that are not closed. A plain dict, because the operations on it are single steps of the interpreter.
_loggers: dict[int, Exiting] = {}
_hooked: list[bool] = []
#: A signal that came while a logger was being closed on the same thread, or while that forked; and that thread.
_deferred: list[tuple[int, int]] = []
#: Threads that fork, and those of them that hold back SIGTERM meanwhile.
_forking: set[int] = set()
_holding: set[int] = set()
_is_told_of_children: list[bool] = []


def watch_exit(logger: Exiting) -> None:
    """Has a logger told of the end of the process, and of forks, until `forget_exit`."""
    _loggers[id(logger)] = logger
    if not _hooked:
        _hooked.append(True)
        _hook()
    _hook_sigterm()


def forget_exit(logger: object) -> None:
    """A logger is closed; the last thing that its `close` does."""
    _loggers.pop(id(logger), None)
    _end_if_deferred()


def _hook() -> None:
    atexit.register(_finish, is_last=True)
    # A process of multiprocessing ends without atexit, but not without this; there is no public way to it.
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        try:
            register(_before_threads_are_joined)
        except RuntimeError:
            # The interpreter is going down already.
            pass
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork
        )
        # An exception, as of Ctrl-C, ends one of these and none of the others.
        os.register_at_fork(after_in_parent=_after_fork_in_parent, after_in_child=_end_fork)
        on_halted(_hold_sigterm)
        on_forked(_let_sigterm)
    _hook_exceptions()


def _finish(is_last: bool) -> None:
    """All loggers together take no longer than the most patient one would."""
    loggers = list(_loggers.values())
    deadline_s = time.monotonic() + max((logger.exit_timeout_s for logger in loggers), default=0.0)
    for logger in loggers:
        left_s = max(0.0, deadline_s - time.monotonic())
        try:
            logger.at_exit(min(left_s, logger.exit_timeout_s), is_last)
        except Exception:
            # Nothing may keep the others from it.
            pass


def _before_threads_are_joined() -> None:
    """The main thread is done. Other threads may go on logging, and then atexit comes after them; a process of
    multiprocessing has no such end, so for it this is the last moment unless there are such threads."""
    if not _is_multiprocessing_child():
        return
    me = threading.current_thread()
    others = [each for each in threading.enumerate() if each is not me and not each.daemon]
    _finish(is_last=not others)


def _is_multiprocessing_child() -> bool:
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def _after_fork() -> None:
    steps = [
        _forget_other_threads,
        _watch.abandon,
        # Before any thread is started, which would inherit that. What has come is deferred until the end.
        _let_sigterm,
        *(logger.after_fork for logger in list(_loggers.values())),
    ]
    try:
        for step in steps:
            try:
                step()
            except BaseException:
                # A logger is closed here, then; the others need not be. Whatever it is, Ctrl-C even, the interpreter
                # would only print it and go on.
                pass
    finally:
        # Last, because it may end this process.
        _end_fork()


def _forget_other_threads() -> None:
    """The process has forked, and this is the child: of the parent's signals and threads there is only this one."""
    me = threading.get_ident()
    is_parent_ending = bool(_deferred)
    _deferred.clear()
    _forking.intersection_update({me})
    _holding.intersection_update({me})
    if is_parent_ending and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _before_fork() -> None:
    _forking.add(threading.get_ident())
    _watch.halt()
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_told_of_children:
        # In a child, once it knows that it is one of multiprocessing.
        util.register_after_fork(_watch, lambda watch: _start_watch())
        _is_told_of_children.append(True)


def _after_fork_in_parent() -> None:
    """Idempotent."""
    try:
        _forking.discard(threading.get_ident())
        # The last of several threads that fork at once sees to it; before, one more would be halted by nobody.
        if not _forking:
            _watch.go_on()
    finally:
        _end_fork()


def _end_fork() -> None:
    """Idempotent. In both processes; a signal that came in the middle ends this one."""
    try:
        _let_sigterm()
    finally:
        _forking.discard(threading.get_ident())
        _end_if_deferred()


def _hold_sigterm(timeout_s: float) -> None:
    """The first thing that Python does in a child is to forget the signals that have come: with a handler, one that
    comes before is lost, and whoever sent it waits for ever, as a multiprocessing.Pool that ends before all its
    workers have begun (measured on 2 busy cores: 5 of 24 at times). Held back, it comes when the child is ready."""
    is_held = signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if signal.getsignal(signal.SIGTERM) is _on_sigterm and not is_held:
        _holding.add(threading.get_ident())
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_sigterm() -> None:
    """Idempotent. Before any thread is started, which would inherit that."""
    if threading.get_ident() in _holding:
        # In this order, so that whatever interrupts it, it can be done once more.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _holding.discard(threading.get_ident())


def _hook_exceptions() -> None:
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _log_unhandled(error, "main")
        previous(kind, error, trace)

    sys.excepthook = excepthook
    previous_of_threads = threading.excepthook

    def thread_excepthook(args: Any) -> None:
        # A thread that ends by SystemExit ends silently.
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            _log_unhandled(args.exc_value, args.thread.name if args.thread is not None else "")
        previous_of_threads(args)

    threading.excepthook = thread_excepthook


def _log_unhandled(error: BaseException, where: str) -> None:
    # By the newest logger alone: mostly there is one, and a program with several has one for this process.
    for logger in list(_loggers.values())[-1:]:
        try:
            logger.log_unhandled(error, where)
        except Exception:
            # The program's own hook has to run, whatever happens here.
            pass


def _hook_sigterm() -> None:
    """Unless the program has a handler of its own, SIGTERM ends the process as it would, but not before what is left
    was delivered. Handlers belong to the main thread; a logger that is made on another one goes without."""
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _on_sigterm)
        _start_watch()
    except ValueError:
        pass


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    # A second one ends the process at once.
    signal.signal(number, signal.SIG_DFL)
    # In the middle of closing, as a worker of a multiprocessing.Pool is when the pool ends: that goes on when this
    # returns, within its own deadline, and then the process ends. From in here it could only be cut short. In the
    # middle of a fork nothing is delivered before that is done.
    _deferred.append((number, threading.get_ident()))
    _end_if_deferred()


#: Of SIGTERM.
_watch = SignalWatch(signal.SIGTERM, _on_sigterm)


def _start_watch() -> None:
    """In processes of multiprocessing, which end by SIGTERM as a matter of course, and often just when they begin to
    wait. Not in others: Python has one descriptor for it, and that is the program's."""
    if _is_multiprocessing_child() and signal.getsignal(signal.SIGTERM) is _on_sigterm:
        _watch.start()


def _is_closing_here() -> bool:
    return any(logger.is_closing_here for logger in list(_loggers.values()))


def _end_if_deferred() -> None:
    """Does nothing on another thread than the signal came on, which may still be in the middle of closing."""
    me = threading.get_ident()
    try:
        number, thread = _deferred[-1]
        if thread != me or me in _forking or _is_closing_here():
            return
        _deferred.pop()
    except IndexError:
        return
    _end(number)


def _end(number: int) -> None:
    # The first process of a container lives on after a signal that it has no handler for, and logs on.
    is_last = os.getpid() != 1
    _finish(is_last)
    os.kill(os.getpid(), number)
    if not is_last:
        signal.signal(number, _on_sigterm)
