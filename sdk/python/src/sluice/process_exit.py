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
#: A signal that came while a logger was being closed on the same thread.
_deferred: list[int] = []


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
    if _deferred and not _is_closing_here():
        _end(_deferred.pop())


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
        os.register_at_fork(after_in_child=_after_fork)
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
    is_child = "multiprocessing.process" in sys.modules and _is_multiprocessing_child()
    if not is_child:
        return
    me = threading.current_thread()
    others = [each for each in threading.enumerate() if each is not me and not each.daemon]
    _finish(is_last=not others)


def _is_multiprocessing_child() -> bool:
    return sys.modules["multiprocessing.process"].parent_process() is not None


def _after_fork() -> None:
    _deferred.clear()
    for logger in list(_loggers.values()):
        try:
            logger.after_fork()
        except Exception:
            # It is closed here, then; the others need not be.
            pass


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
    except ValueError:
        pass


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    # A second one ends the process at once.
    signal.signal(number, signal.SIG_DFL)
    # In the middle of closing, as a worker of a multiprocessing.Pool is when the pool ends: that goes on when this
    # returns, within its own deadline, and then the process ends. From in here it could only be cut short.
    if _is_closing_here():
        _deferred.append(number)
    else:
        _end(number)


def _is_closing_here() -> bool:
    return any(logger.is_closing_here for logger in list(_loggers.values()))


def _end(number: int) -> None:
    # The first process of a container lives on after a signal that it has no handler for, and logs on.
    is_last = os.getpid() != 1
    _finish(is_last)
    os.kill(os.getpid(), number)
    if not is_last:
        signal.signal(number, _on_sigterm)
