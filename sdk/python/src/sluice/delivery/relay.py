"""The process that makes calls for another one; see relay_transport.py. Reads frames from its input and answers on its
output, until the input ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from .grpc_transport import GrpcTransport
from .relay_transport import (
    CANCEL,
    ENDED,
    FRAME_HEAD,
    HALF_CLOSE,
    MESSAGE,
    OPEN,
    WRITTEN,
    encode_outcome,
    read_frames,
)
from .thread import DeliveryThread
from .transport import Call, CallFailure, CallOutcome


class _RelayLoop:
    """Runs what comes from the input on the transport's thread."""

    def __init__(self, target: str, is_tls: bool) -> None:
        self.thread = DeliveryThread("sluice-relay", report_bug=lambda error: os._exit(1))
        self._transport = GrpcTransport(target=target, is_tls=is_tls, loop=self.thread)
        self._calls: dict[int, Call] = {}

    def take(self, kind: int, number: int, payload: bytes) -> None:
        if kind == OPEN:
            self._open(number)
            return
        call = self._calls.get(number)
        if call is None:
            return
        if kind == MESSAGE:
            call.write(payload, lambda: _send(WRITTEN, number))
        elif kind == HALF_CLOSE:
            call.half_close()
        elif kind == CANCEL:
            del self._calls[number]
            call.cancel()

    def _open(self, number: int) -> None:
        def ended(outcome: CallOutcome) -> None:
            self._calls.pop(number, None)
            _send(ENDED, number, encode_outcome(outcome))

        try:
            self._calls[number] = self._transport.open(ended)
        except Exception as error:
            ended(CallFailure(14, f"no call could be made: {error!r}"))


def _send(kind: int, call: int, payload: bytes = b"") -> None:
    try:
        os.write(1, FRAME_HEAD.pack(len(payload), kind, call) + payload)
    except OSError:
        os._exit(0)


def main(arguments: Sequence[str]) -> None:
    """`arguments`: the target, and `tls` or `plain`."""
    loop = _RelayLoop(arguments[0], arguments[1] == "tls")
    # What has been read and not been taken is bounded by what the other side leaves unanswered.
    for kind, call, payload in read_frames(sys.stdin.buffer):
        loop.thread.post(_bound(loop.take, kind, call, payload))
    os._exit(0)


def _bound(
    take: Callable[[int, int, bytes], None], kind: int, call: int, payload: bytes
) -> Callable[[], None]:
    return lambda: take(kind, call, payload)
