from __future__ import annotations

import _thread
import os
import queue
import time
from collections.abc import Callable
from typing import Any

import grpc

# Otherwise imported with the first channel, on the delivery's thread: a process that forks at that moment has a child
# in which half of it is missing for ever.
import grpc._channel

from sluice.endpoint import Endpoint
from sluice.limits import ONCE_TIMEOUT_S

from .failure import INTERNAL, UNKNOWN
from .loop import Loop
from .relay_transport import RelayTransport
from .response import decode_response
from .thread import on_halted
from .transport import CallFailure, CallOutcome, Transport

LOG_METHOD = "/sluice.v1.EventCollector/Log"
LOG_ONCE_METHOD = "/sluice.v1.EventCollector/LogOnce"
EXPECTED_SEQUENCE_KEY = "sluice-expected-sequence"
RETRY_DELAY_KEY = "sluice-retry-delay-ms"

#: gRPC's own retries would hold copies of everything and hide what happened; the delivery does that.
CHANNEL_OPTIONS: list[tuple[str, int]] = [
    ("grpc.enable_retries", 0),
    # A job's proxy is for the internet; the collector is next door.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    # A logger's connection is its own: dropping it when it hangs must not touch another's.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5000),
    # A peer that vanished without a word is noticed while a call waits for it.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
]


class GrpcTransport:
    """Calls over grpcio. Implements `Transport`; used on its loop's thread alone.

    gRPC has threads of its own as long as a channel lives. In a process that forks, a child inherits their locks
    without them: with a channel open, its first call may hang or abort the process (measured with grpcio 1.85: 1 child
    of 40 with a busy parent; all of them with GRPC_ENABLE_FORK_SUPPORT=0; with =1, each fork takes a second). Without
    a channel gRPC's core ends, threads and all, within about a millisecond. So the channel is closed before a fork, by
    the loop (see thread.py), which then waits until those threads are gone; and a channel is made with a call that
    needs it, not before.

    gRPC makes a thread of Python's for each streaming call. Where there can be none (Python 3.12 while the process
    ends, or a system that has no more), a call is made of the contract's LogOnce, on the loop's own thread, which
    waits for it.
    """

    def __init__(self, *, target: str, is_tls: bool, loop: Loop) -> None:
        self._target = target
        self._is_tls = is_tls
        self._loop = loop
        self._channel: grpc.Channel | None = None
        self._log: Any = None

    def open(self, ended: Callable[[CallOutcome], None]) -> _GrpcCall | _OnceCall:
        channel = self._channel
        if channel is None:
            channel = self._channel = self._connect()
        # Methods without serializers: messages are bytes both ways.
        if _can_make_threads():
            if self._log is None:
                self._log = channel.stream_unary(LOG_METHOD)
            try:
                return _GrpcCall(self._log, self._loop, ended)
            except RuntimeError:
                # It came to that between the two. To close a channel with half of a call would wait for ever.
                _unusable.append(channel)
                channel = self._channel = self._connect()
                self._log = None
        return _OnceCall(channel.unary_unary(LOG_ONCE_METHOD), self._loop, ended)

    def disconnect(self) -> None:
        channel, self._channel, self._log = self._channel, None, None
        if channel is not None:
            _threads.expect_end()
            channel.close()

    def _connect(self) -> grpc.Channel:
        if self._is_tls:
            return grpc.secure_channel(self._target, grpc.ssl_channel_credentials(), CHANNEL_OPTIONS)
        return grpc.insecure_channel(self._target, CHANNEL_OPTIONS)


class _GrpcCall:
    """Implements `Call`. gRPC takes messages from an iterator on a thread of its own; it asks for the next one when
    the one before has left."""

    is_single = False

    def __init__(self, method: Any, loop: Loop, ended: Callable[[CallOutcome], None]) -> None:
        self._loop = loop
        self._messages = _Messages(loop.post)
        self._is_over = False
        self._ended = ended
        try:
            future = method.future(self._messages)
        except BaseException:
            self._messages.end()
            raise
        self._future: Any = future
        future.add_done_callback(self._on_done)

    def write(self, message: bytes, written: Callable[[], None]) -> None:
        self._messages.put(message, lambda: None if self._is_over else written())

    def half_close(self) -> None:
        self._messages.end()

    def cancel(self) -> None:
        future, self._future = self._future, None
        self._is_over = True
        self._messages.end()
        if future is not None:
            future.cancel()

    def _on_done(self, future: Any) -> None:
        # On a thread of gRPC's. The outcome goes to the loop, the future does not: it would keep gRPC alive.
        outcome = _outcome_of(future)
        # Else the thread that takes messages would wait for the next one for ever.
        self._messages.end()
        self._loop.post(lambda: self._end(outcome))

    def _end(self, outcome: CallOutcome) -> None:
        self._future = None
        if not self._is_over:
            self._is_over = True
            self._ended(outcome)


class _OnceCall:
    """Implements `Call` for a single request, which it sends when there is no more to come."""

    is_single = True

    def __init__(self, method: Any, loop: Loop, ended: Callable[[CallOutcome], None]) -> None:
        self._method = method
        self._loop = loop
        self._ended = ended
        self._messages: list[bytes] = []
        self._is_over = False

    def write(self, message: bytes, written: Callable[[], None]) -> None:
        # A mark behind a request becomes a part of it: messages in Protobuf concatenate.
        self._messages.append(message)
        self._loop.post(lambda: None if self._is_over else written())

    def half_close(self) -> None:
        # Later, because the outcome is never told from within a method.
        self._loop.post(self._run)

    def cancel(self) -> None:
        self._is_over = True

    def _run(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        outcome: CallOutcome
        try:
            answer, _ = self._method.with_call(b"".join(self._messages), timeout=ONCE_TIMEOUT_S)
            outcome = decode_response(answer)
        except grpc.RpcError as error:
            outcome = _failure_of(error)
        except Exception as error:
            outcome = CallFailure(UNKNOWN, f"the call failed: {error!r}")
        self._ended(outcome)


class _Messages:
    """The iterator that gRPC takes messages from."""

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._queue: queue.SimpleQueue[tuple[bytes, Callable[[], None]] | None] = queue.SimpleQueue()
        self._written: Callable[[], None] | None = None

    def put(self, message: bytes, written: Callable[[], None]) -> None:
        self._queue.put((message, written))

    def end(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> _Messages:
        return self

    def __next__(self) -> bytes:
        written, self._written = self._written, None
        if written is not None:
            self._post(written)
        item = self._queue.get()
        if item is None:
            raise StopIteration
        message, self._written = item
        return message


def _outcome_of(future: Any) -> CallOutcome:
    try:
        if future.code() is grpc.StatusCode.OK:
            return decode_response(future.result())
    except Exception as error:
        return CallFailure(INTERNAL, f"the response cannot be read: {error!r}")
    return _failure_of(future)


def _failure_of(call: Any) -> CallFailure:
    try:
        code = call.code()
        metadata = dict(call.trailing_metadata() or ())
        return CallFailure(
            code=code.value[0],
            message=f"{code.name}: {call.details()}",
            expected_sequence=_number(metadata.get(EXPECTED_SEQUENCE_KEY)),
            retry_delay_ms=_number(metadata.get(RETRY_DELAY_KEY)),
        )
    except Exception as error:
        # Whatever a version of gRPC does here, the call is over and has to be made again.
        return CallFailure(UNKNOWN, f"the call's outcome cannot be read: {error!r}")


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    return None


def _can_make_threads() -> bool:
    try:
        _thread.start_new_thread(_nothing, ())
    except RuntimeError:
        return False
    return True


def _nothing() -> None:
    """What a thread does that is made to see whether one can be made."""


#: Channels that can be neither used nor closed.
_unusable: list[grpc.Channel] = []


class _Threads:
    """gRPC's own threads, as the system names them."""

    _NAMES = ("event_engine", "grpc_", "lifeguard", "timer_manager", "default-executo", "resolver-execut")
    _TASKS = "/proc/self/task"

    def __init__(self) -> None:
        self._is_ending = False
        #: Whether they were there at the last fork: somebody else in the process uses gRPC too.
        self.is_shared = False

    def expect_end(self) -> None:
        """A channel is closed."""
        self._is_ending = True

    def wait(self, timeout_s: float) -> None:
        """Waits until they are gone, if there is a reason to think that they will be."""
        started_s = time.monotonic()
        # Measured: 1.3 ms, rarely 30.
        limit_s = 0.003 if self.is_shared else 0.25
        timeout_s = min(timeout_s, limit_s) if self._is_ending else 0.0
        self._is_ending = False
        while self._are_there():
            if time.monotonic() - started_s >= timeout_s:
                self.is_shared = True
                return
            time.sleep(0.0003)
        self.is_shared = False

    def _are_there(self) -> bool:
        try:
            tasks = os.listdir(self._TASKS)
        except OSError:
            # Not Linux, and nobody can tell; a moment is all that can be given.
            time.sleep(0.005)
            return False
        for task in tasks:
            try:
                with open(f"{self._TASKS}/{task}/comm") as file:
                    if file.read().startswith(self._NAMES):
                        return True
            except OSError:
                continue  # It has ended.
        return False


_threads = _Threads()
on_halted(_threads.wait)

#: Whether this process was forked while gRPC was in use, which it must not touch then.
_has_inherited = False


def _after_fork_in_child() -> None:
    global _has_inherited
    _has_inherited = _has_inherited or _threads.is_shared


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def make_transport(endpoint: Endpoint, loop: Loop) -> Transport:
    """What carries calls to a collector, in this process."""
    kind = RelayTransport if _has_inherited else GrpcTransport
    return kind(target=endpoint.target, is_tls=endpoint.tls, loop=loop)
