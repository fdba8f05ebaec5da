"""A producer's side of the suite's channel that is written in Python: answers what the suite asks, tells it what it did
not ask for, and dies with it.

Node gives its children a socket as an open file and its number in NODE_CHANNEL_FD; a message is a line of JSON. What is
sent is what serve.ts in faults/src/processes sends. Forks of the process share the socket: each message is one write,
which the kernel keeps in one piece.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import traceback
from collections.abc import Callable, Mapping
from typing import Any

_socket = socket.socket(fileno=int(os.environ.pop("NODE_CHANNEL_FD")))


def notify(notice: Any) -> None:
    """Tells the suite something. Any thread, any process."""
    _send({"kind": "notice", "notice": notice})


def serve(calls: Mapping[str, Callable[[Any], Any]]) -> None:
    """Serves `calls` until `end` was answered or the suite is gone. Takes the main thread."""
    # Ctrl-C reaches the whole group; the suite decides when its processes end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _socket.makefile("rb") as questions:
        for line in questions:
            question = json.loads(line)
            if "call" not in question:
                continue
            answer: dict[str, Any] = {"kind": "answer", "id": question["id"]}
            try:
                answer["result"] = calls[question["call"]](question.get("argument"))
            except Exception:
                answer["error"] = traceback.format_exc()
            _send(answer)
            if question["call"] == "end":
                # As a process that is told to end: what it made is closed, and nothing waits for threads.
                os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def _send(message: dict[str, Any]) -> None:
    # Node may be slow to read, so the socket blocks; a line is far smaller than its buffer.
    _socket.sendall(json.dumps(message).encode() + b"\n")
