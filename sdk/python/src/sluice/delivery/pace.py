from __future__ import annotations

import math
from typing import Protocol

from sluice.limits import ASKED_CALL_AGE_MAX_MS, ASKED_REQUEST_AGE_MAX_MS, LEAST_CALL_AGE_MS


class PaceSettings(Protocol):
    """What `Pace` reads of a logger's settings."""

    @property
    def request_age_ms(self) -> int: ...
    @property
    def call_age_ms(self) -> int: ...
    @property
    def is_request_age_given(self) -> bool:
        """Whether the user named it."""

    @property
    def is_call_age_given(self) -> bool: ...


class Pace:
    """How old events get before they are sent, and before their acknowledgment is asked for: as the user said, or as
    the collector asks, which knows how many producers it has; but no more than a call a second, which is what suits a
    job in Python.

    Invariants:
    1. What the user named is never changed.
    2. A collector that asks for nothing gets the defaults; until one has answered, a call asks at once, to learn its
       pace.
    """

    def __init__(self, settings: PaceSettings) -> None:
        self._settings = settings
        #: What the collector asked for last; 0: it has not answered, or asks for nothing.
        self._asked_ms = 0
        self._is_answered = False

    @property
    def request_age_ms(self) -> float:
        """The age at which a request is sealed: the call's, because with one request a call its acknowledgment comes
        soonest, or an equal part of it, because events are to leave the process within half a second, however late
        the answer comes."""
        settings = self._settings
        if settings.is_request_age_given or settings.is_call_age_given or self._asked_ms == 0:
            return settings.request_age_ms
        return self._asked_ms / math.ceil(self._asked_ms / ASKED_REQUEST_AGE_MAX_MS)

    @property
    def call_age_ms(self) -> float:
        """The age of its oldest event at which a call is half-closed for the acknowledgment."""
        if self._settings.is_call_age_given:
            return self._settings.call_age_ms
        if not self._is_answered:
            return 0
        return self._settings.call_age_ms if self._asked_ms == 0 else self._asked_ms

    def notice_answer(self, asked_ms: int) -> None:
        """`asked_ms`: what came with an acknowledgment; 0 if nothing did."""
        self._is_answered = True
        self._asked_ms = 0 if asked_ms == 0 else min(max(asked_ms, LEAST_CALL_AGE_MS), ASKED_CALL_AGE_MAX_MS)
