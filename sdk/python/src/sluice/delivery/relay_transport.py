from __future__ import annotations

import json
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO

from .failure import INTERNAL, UNAVAILABLE
from .loop import Loop
from .transport import Acknowledgment, CallFailure, CallOutcome

#: In front of each frame between the two processes: bytes behind it, what it is, and which call it is about.
FRAME_HEAD = struct.Struct("<IBI")

# To the relay.
OPEN = 1
MESSAGE = 2
HALF_CLOSE = 3
CANCEL = 4
# From the relay.
WRITTEN = 5
ENDED = 6

#: The relay finds modules where this process does.
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from sluice.delivery.relay import main
main(sys.argv[2:])
"""


class RelayTransport:
    """Calls that another process makes. Implements `Transport`; used on its loop's thread alone.

    For a child that was forked while somebody else in the process used gRPC: what the child inherits of it is neither
    whole nor gone, and a call made there may hang or end the process (measured with grpcio 1.85: 1 child of 300
    crashes; with GRPC_ENABLE_FORK_SUPPORT=0 or 1 most hang). A process that is executed anew has a gRPC of its own. It
    lives as long as the connection.

    What this cannot help: unless GRPC_ENABLE_FORK_SUPPORT=0, gRPC's own handlers of a fork start its threads in the
    child before any of our code runs, and these may end it by a signal though it never uses gRPC; see test_fork.py.
    """

    def __init__(self, *, target: str, is_tls: bool, loop: Loop) -> None:
        self._target = target
        self._is_tls = is_tls
        self._loop = loop
        self._relay: _Relay | None = None
        self._calls = 0

    def open(self, ended: Callable[[CallOutcome], None]) -> _RelayedCall:
        if self._relay is None or self._relay.has_ended:
            self._relay = _Relay(self._target, self._is_tls, self._loop)
        self._calls += 1
        return _RelayedCall(self._relay, self._calls, ended)

    def disconnect(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.end()


class _RelayedCall:
    """Implements `Call`."""

    is_single = False

    def __init__(self, relay: _Relay, number: int, ended: Callable[[CallOutcome], None]) -> None:
        self._relay = relay
        self._number = number
        self._ended = ended
        self._written: list[Callable[[], None]] = []
        relay.calls[number] = self
        relay.send(OPEN, number)

    def write(self, message: bytes, written: Callable[[], None]) -> None:
        self._written.append(written)
        self._relay.send(MESSAGE, self._number, message)

    def half_close(self) -> None:
        self._relay.send(HALF_CLOSE, self._number)

    def cancel(self) -> None:
        if self._relay.calls.pop(self._number, None) is not None:
            self._relay.send(CANCEL, self._number)

    def on_written(self) -> None:
        if self._written:
            self._written.pop(0)()

    def on_ended(self, outcome: CallOutcome) -> None:
        if self._relay.calls.pop(self._number, None) is not None:
            self._ended(outcome)


class _Relay:
    """The other process, with a thread that writes to it and one that reads from it: neither may hold up the loop."""

    def __init__(self, target: str, is_tls: bool, loop: Loop) -> None:
        self._loop = loop
        #: Those that have not ended.
        self.calls: dict[int, _RelayedCall] = {}
        self.has_ended = False
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        arguments = ["-c", _PROGRAM, json.dumps(sys.path), target, "tls" if is_tls else "plain"]
        self.process = _Process(interpreter(), arguments)
        self._threads = [
            threading.Thread(target=run, name="sluice-relay", daemon=True)
            for run in (self._read, self._write)
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError:
            self.end()
            raise

    def send(self, kind: int, call: int, payload: bytes = b"") -> None:
        self._frames.put(FRAME_HEAD.pack(len(payload), kind, call) + payload)

    def end(self) -> None:
        """Ends the process, and waits until its threads have seen that: a fork must find none of them."""
        self.has_ended = True
        self._frames.put(None)
        self.process.kill()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(1)

    def _write(self) -> None:
        try:
            with self.process.input as pipe:
                while True:
                    frame = self._frames.get()
                    if frame is None:
                        return
                    pipe.write(frame)
                    pipe.flush()
        except (OSError, ValueError):
            pass  # It has ended, which the other thread tells.

    def _read(self) -> None:
        try:
            with self.process.output as pipe:
                for kind, call, payload in read_frames(pipe):
                    self._loop.post(partial(self._take, kind, call, payload))
        except (OSError, ValueError):
            pass
        code = self.process.wait()
        self._frames.put(None)
        self._loop.post(lambda: self._on_end(code))

    def _take(self, kind: int, number: int, payload: bytes) -> None:
        call = self.calls.get(number)
        if call is None:
            return
        if kind == WRITTEN:
            call.on_written()
        elif kind == ENDED:
            call.on_ended(decode_outcome(payload))

    def _on_end(self, code: int) -> None:
        self.has_ended = True
        for call in list(self.calls.values()):
            call.on_ended(
                CallFailure(UNAVAILABLE, f"the process that sends for this one has ended with {code}")
            )


class _Process:
    """A process with pipes. Not `subprocess`: before Python 3.10 that forks, and there gRPC's handlers of a fork, in a
    process that has inherited it, may wait for ever, with the interpreter's lock."""

    def __init__(self, path: str, arguments: list[str]) -> None:
        """Raises OSError."""
        self._lock = threading.Lock()
        self._has_ended = False
        theirs_in, ours_out = os.pipe()
        try:
            ours_in, theirs_out = os.pipe()
        except OSError:
            os.close(theirs_in)
            os.close(ours_out)
            raise
        self.input: IO[bytes] = os.fdopen(ours_out, "wb")
        self.output: IO[bytes] = os.fdopen(ours_in, "rb")
        try:
            self._pid = os.posix_spawn(
                path,
                [path, *arguments],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs_in, 0),
                    (os.POSIX_SPAWN_DUP2, theirs_out, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                # In a group of its own, so that an interrupt of the terminal does not end it before the job.
                setpgroup=0,
            )
        except BaseException:
            self.input.close()
            self.output.close()
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def kill(self) -> None:
        with self._lock:
            # Not after it was waited for: its number may be another's then.
            if not self._has_ended:
                try:
                    os.kill(self._pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # The program waits for all its children by itself.

    def wait(self) -> int:
        """Its exit code; minus the signal that ended it. Once."""
        try:
            os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
            with self._lock:
                self._has_ended = True
                _, status = os.waitpid(self._pid, 0)
        except ChildProcessError:
            # The program waits for all its children by itself.
            self._has_ended = True
            return 0
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def interpreter() -> str:
    """What runs the relay. Raises RuntimeError if there is no Python that could be run."""
    path = sys.executable or ""
    if getattr(sys, "frozen", False) or "python" not in os.path.basename(path).lower():
        raise RuntimeError(
            f"gRPC cannot be used in this process, and {path or 'nothing'} is no Python to use it in"
        )
    return path


def read_frames(pipe: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Kind, call and payload of each frame, until the pipe ends."""
    while True:
        head = pipe.read(FRAME_HEAD.size)
        if len(head) < FRAME_HEAD.size:
            return
        size, kind, call = FRAME_HEAD.unpack(head)
        payload = pipe.read(size)
        if len(payload) < size:
            return
        yield kind, call, payload


def encode_outcome(outcome: CallOutcome) -> bytes:
    kind = "acknowledged" if isinstance(outcome, Acknowledgment) else "failed"
    return json.dumps([kind, outcome.__dict__]).encode()


def decode_outcome(data: bytes) -> CallOutcome:
    try:
        kind, fields = json.loads(data)
        return Acknowledgment(**fields) if kind == "acknowledged" else CallFailure(**fields)
    except (ValueError, TypeError) as error:
        return CallFailure(INTERNAL, f"the relay's answer cannot be read: {error!r}")
