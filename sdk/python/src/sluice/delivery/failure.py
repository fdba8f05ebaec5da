"""What a failed call asks for."""

from __future__ import annotations

from typing import Literal

from .transport import CallFailure

# gRPC's status codes that mean something to a producer (grpc.io/docs/guides/status-codes).
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16

#: How gRPC puts it, in its versions so far, that an answer is no HTTP/2.
_NO_HTTP2 = ("Failed parsing HTTP/2", "http1.x server")

Reaction = Literal[
    "retry",  # again after a growing delay
    "retry_slowly",  # nothing will change soon; someone has to repair it
    "wait",  # again after the delay that the collector named
    "rewind",  # again from the sequence that the collector named
    "isolate_refused",  # one request is refused for good: find it
    "isolate_exhausted",  # one request may be too large: find it
]


def reaction_to(failure: CallFailure) -> Reaction:
    if failure.code == FAILED_PRECONDITION:
        return "retry" if failure.expected_sequence is None else "rewind"
    if failure.code == INVALID_ARGUMENT:
        return "isolate_refused"
    if failure.code == RESOURCE_EXHAUSTED:
        return "isolate_exhausted" if failure.retry_delay_ms is None else "wait"
    if failure.code in (UNIMPLEMENTED, UNAUTHENTICATED, PERMISSION_DENIED):
        return "retry_slowly"
    return "retry"


def in_words(failure: CallFailure, endpoint: str) -> str:
    """The failure for people. Nothing is decided by gRPC's words, which change; they only choose what is said in front
    of them."""
    is_no_http2 = failure.code == UNAVAILABLE and any(words in failure.message for words in _NO_HTTP2)
    if not is_no_http2 and failure.code != UNIMPLEMENTED:
        return failure.message
    what = "does not speak gRPC" if is_no_http2 else "speaks gRPC, but not Sluice's"
    return (
        f"what answers at {endpoint} {what}: it is no Sluice collector; check the host, the port (a collector's is "
        f"4317 unless it was told another; 8123 is ClickHouse's), and http:// or https:// ({failure.message})"
    )
