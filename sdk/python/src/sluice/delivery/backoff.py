"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable


def backoff_ms(attempt: int, min_ms: float, max_ms: float, random: Callable[[], float]) -> float:
    """Full jitter (Amazon's "Exponential Backoff And Jitter"): anywhere between nothing and a bound that doubles with
    every attempt, so that a fleet whose collector comes back does not return in step."""
    return random() * min(max_ms, min_ms * 2.0 ** min(attempt - 1, 30))


def requested_delay_ms(delay_ms: float, max_ms: float, random: Callable[[], float]) -> float:
    """A delay that the collector asked for: at least that, and up to half as much again."""
    return min(delay_ms, max_ms) * (1 + random() / 2)
