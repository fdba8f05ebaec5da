"""Who a producer's folder belongs to, and whether that process still lives.

A process id alone could be another process's by now, so its start time decides; a start time counts from the boot of
its kernel, and a process id within its namespace. Only what all of these make comparable is judged: a process in
another container or on another host cannot be seen from here.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Literal, NamedTuple

#: `elsewhere`: on another host, in another container, or written by a later version: nobody can tell here.
Life = Literal["alive", "dead", "elsewhere"]

_TEXT = re.compile(r"([A-Za-z0-9._-]+)@([0-9a-f]+)@([0-9]+)@([1-9][0-9]{0,9})@([0-9]+)")


class Owner(NamedTuple):
    """The text between the `@`s of a folder's name, and what it says."""

    host: str
    #: The kernel's boot id, without dashes; `0` where it is not told.
    boot: str
    #: The process id namespace; `0` where there is none.
    namespace: str
    pid: int
    #: When it started, in the kernel's ticks; `0` where it is not told.
    start: str

    def __str__(self) -> str:
        return f"{self.host}@{self.boot}@{self.namespace}@{self.pid}@{self.start}"


def this_process() -> Owner:
    """This process as an owner. Asked each time, because a fork makes it another."""
    pid = os.getpid()
    host = re.sub(r"[^A-Za-z0-9._-]", "_", socket.gethostname())[:64] or "_"
    start = _start_time(pid)
    return Owner(host, _boot_id(), _pid_namespace(), pid, start if start.isdigit() else "0")


def parse_owner(text: str) -> Owner | None:
    """None for what is none."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    host, boot, namespace, pid, start = match.groups()
    return Owner(host, boot, namespace, int(pid), start)


def judge(owner: Owner | None, me: Owner) -> Life:
    """Whether an owner lives, as seen by `me`."""
    if owner is None or owner.host != me.host:
        return "elsewhere"
    if owner.boot != me.boot:
        # The same host, but its kernel was started anew since.
        return "dead"
    if owner.namespace != me.namespace:
        return "elsewhere"
    if owner.pid != me.pid:
        try:
            os.kill(owner.pid, 0)
        except ProcessLookupError:
            return "dead"
        except (OSError, OverflowError):
            pass  # It is there, and somebody else's; or there can be none, which its start time tells.
    if owner.start == "0":
        return "alive"
    start = _start_time(owner.pid)
    return "alive" if start in ("", owner.start) else "dead"


def _start_time(pid: int) -> str:
    """Empty where /proc does not tell."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            stat = file.read()
    except OSError:
        return ""
    # The second field is the command in parentheses, which may hold spaces; the state is field 3, the start time
    # field 22. A zombie is dead, whoever has yet to reap it.
    fields = stat[stat.rfind(")") + 2 :].split(" ")
    if fields[0] in ("Z", "X"):
        return "dead"
    return fields[19] if len(fields) > 19 else ""


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="latin-1") as file:
            text = file.read().strip().replace("-", "")
    except OSError:
        return "0"
    return text if re.fullmatch("[0-9a-f]+", text) else "0"


def _pid_namespace() -> str:
    try:
        match = re.search("[0-9]+", os.readlink("/proc/self/ns/pid"))
    except OSError:
        return "0"
    return "0" if match is None else match.group()
