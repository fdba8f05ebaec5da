"""One call to a collector as the delivery sees it, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Union


@dataclass(frozen=True)
class Acknowledgment:
    #: Everything up to this number is on the collector's disk.
    durable_sequence: int
    duplicates: int = 0
    #: Events that broke a limit and were not stored; the collector lists at most 1,000 of a call.
    rejected: int = 0
    #: The first of them, in words.
    rejection: str | None = None
    #: How old the oldest event of the next call may get before it asks for its acknowledgment; 0: the collector does
    #: not say.
    call_age_ms: int = 0


@dataclass(frozen=True)
class CallFailure:
    #: gRPC's status code.
    code: int
    #: For people; never looked at by the program.
    message: str
    #: The sequence to go on from, if the collector named one.
    expected_sequence: int | None = None
    #: When to try again, if the collector said so.
    retry_delay_ms: int | None = None


CallOutcome = Union[Acknowledgment, CallFailure]


class Call(Protocol):
    """One client-streaming call. Used on the delivery's thread alone."""

    @property
    def is_single(self) -> bool:
        """Whether it takes one request only."""

    def write(self, message: bytes, written: Callable[[], None]) -> None:
        """`written` runs on the delivery's thread once the bytes have left for the socket."""

    def half_close(self) -> None:
        """No more messages; the collector answers."""

    def cancel(self) -> None:
        """Gives the call up; its outcome is not reported any more."""


class Transport(Protocol):
    def open(self, ended: Callable[[CallOutcome], None]) -> Call:
        """`ended` runs once, on the delivery's thread, and never from within a method of the call."""

    def disconnect(self) -> None:
        """Drops the connection; the next call makes a new one."""
