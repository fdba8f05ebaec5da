"""The side of a measured process that is written in Python: answers what the bench asks, and dies with it.

Node gives its children a socket as an open file and its number in NODE_CHANNEL_FD; a message is a line of JSON. What is
asked and answered is what serve.ts in bench/src/processes asks and answers.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import traceback
from collections.abc import Callable, Mapping
from typing import Any


def serve(calls: Mapping[str, Callable[[Any], Any]]) -> None:
    """Serves `calls` until `stop` was answered or the bench is gone. Takes the main thread."""
    # Ctrl-C reaches the whole group; the bench decides when its processes end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = int(os.environ.pop("NODE_CHANNEL_FD"))
    with open(channel, "rb", closefd=False) as questions, open(channel, "wb", closefd=False) as answers:
        for line in questions:
            question = json.loads(line)
            if "call" not in question:
                continue
            answer: dict[str, Any] = {"id": question["id"]}
            try:
                result = calls[question["call"]](question.get("argument"))
                answer.update(ok=True, result=result)
            except Exception:
                answer.update(ok=False, error=traceback.format_exc())
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()
            if question["call"] == "stop":
                return
    # The bench is gone, and nobody else would end this process.
    os.kill(os.getpid(), signal.SIGKILL)


def own_usage() -> dict[str, Any]:
    """CPU and memory of this process up to now, as measure/usage.ts has it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "pid": os.getpid(),
        "cpuUs": (usage.ru_utime + usage.ru_stime) * 1e6,
        "rssPeakBytes": usage.ru_maxrss * 1024,
        "threads": [],
    }
