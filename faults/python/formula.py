"""What every event of the fault suite holds, as a function of its producer and the number of its call: the formula of
faults/src/oracle/event-formula.ts, which formula-sql.ts checks inside the store."""

from __future__ import annotations

from typing import Any, NamedTuple

BASE_TIME_NS = 1_700_000_000_000 * 1_000_000
NANOS_PER_SEQUENCE = 250_000
SEVERITIES = (5, 9, 13, 17, 9, 5)
PLAIN_SEVERITY = 9
SEQUENCE_FACTOR = 2_654_435_761
RANK_FACTOR = 40_503
TOO_LARGE_BODY = "x" * (1024 * 1024 + 1)


class Key(NamedTuple):
    """What tells a producer's events from another's; see FormulaKey."""

    rank: int
    pad_bytes: int
    loss_every: int
    is_plain: bool


def event_of(key: Key, sequence: int) -> tuple[str, dict[str, Any]]:
    """The name and the keyword arguments of one log call."""
    rank = key.rank
    arguments: dict[str, Any] = {
        "time": BASE_TIME_NS + sequence * NANOS_PER_SEQUENCE,
        "severity": PLAIN_SEVERITY if key.is_plain else SEVERITIES[sequence % len(SEVERITIES)],
        "body": _body_of(key, sequence),
        "step": None if sequence % 7 == 0 else -sequence if sequence % 2 == 0 else sequence,
    }
    if sequence % 16 == 0:
        arguments["trace_id"] = f"{rank:016x}{sequence:016x}"
        arguments["span_id"] = f"{sequence:016x}"
    # Drops get their numbers when the sending thread gathers them, a moment after what was logged around them: so the
    # oracle follows the number of the call (FormulaKey.countsCalls).
    arguments["call"] = sequence
    arguments["hash"] = (sequence * SEQUENCE_FACTOR + rank * RANK_FACTOR) & 0xFFFF_FFFF
    arguments["half"] = sequence / 2
    arguments[f"m{sequence % 11}"] = rank - sequence / 8
    arguments["id"] = f"{rank}-{sequence}"
    arguments["phase"] = f"p{sequence % 7}"
    if sequence % 13 == 0:
        arguments["peak"] = float("inf")
    if sequence % 2 == 0:
        arguments["even"] = True
    if key.pad_bytes > 0:
        arguments["pad"] = chr(97 + sequence % 26) * key.pad_bytes
    return f"e{sequence % 5}", arguments


def _body_of(key: Key, sequence: int) -> str | None:
    if key.loss_every > 0 and sequence % key.loss_every == 0:
        return TOO_LARGE_BODY
    return f"event {sequence} of rank {key.rank}: größer ✓" if sequence % 3 == 0 else None
