from __future__ import annotations

import json
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
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
        arguments = [
            interpreter(),
            "-c",
            _PROGRAM,
            json.dumps(sys.path),
            target,
            "tls" if is_tls else "plain",
        ]
        # In a session of its own, so that an interrupt of the terminal does not end it before the job.
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        threads = [
            threading.Thread(target=run, name="sluice-relay", daemon=True)
            for run in (self._read, self._write)
        ]
        try:
            for thread in threads:
                thread.start()
        except RuntimeError:
            self.end()
            raise
        self._threads = threads

    def send(self, kind: int, call: int, payload: bytes = b"") -> None:
        self._frames.put(FRAME_HEAD.pack(len(payload), kind, call) + payload)

    def end(self) -> None:
        """Ends the process, and waits until its threads have seen that: a fork must find none of them."""
        self.has_ended = True
        self._frames.put(None)
        self._process.kill()
        for thread in getattr(self, "_threads", ()):
            thread.join(1)

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            while True:
                frame = self._frames.get()
                if frame is None:
                    return
                pipe.write(frame)
                pipe.flush()
        except (OSError, ValueError):
            pass  # It has ended, which the other thread tells.
        finally:
            try:
                pipe.close()
            except OSError:
                pass

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        try:
            for kind, call, payload in read_frames(pipe):
                self._loop.post(lambda kind=kind, call=call, payload=payload: self._take(kind, call, payload))  # type: ignore[misc]
        except (OSError, ValueError):
            pass
        pipe.close()
        code = self._process.wait()
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
