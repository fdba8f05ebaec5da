"""Where log calls leave their events."""

from __future__ import annotations

import time
from typing import Any

from sluice.buffer.loss import LOSS_REASONS, LossReason
from sluice.encode.head import SEVERITY_MAX

#: What stands in the list for one event: when it was logged, its head, its fields.
PER_EVENT = 3

#: More than any severity: nothing is taken any more.
CLOSED_TO_ALL = SEVERITY_MAX + 1

#: Entries of a list of drops before they are counted together.
_DROP_ENTRIES = 64


class Intake:
    """What was logged and is not gathered yet.

    Log calls take no lock: `items.extend` of three things is a single step of the interpreter, as are `append` and
    `pop`. So a log call may come at any moment: in a signal handler, in a finalizer, in the middle of another log call,
    while another thread forks. What is not a single step is a counter, so drops are appended to a list as well; they
    are anonymous, so it does not matter to which of them a number is given.

    Invariants:
    1. Only the thread that gathers removes from `items`, from the front.
    2. A call appends without asking anybody while `items` is shorter than `limit`. Everything that needs more is
       arranged by a lower limit: an idle thread that must be woken, a buffer that is full, a logger that is closed.
    """

    __slots__ = (
        "closed_to",
        "drops",
        "field_errors",
        "gathered_s",
        "is_watched",
        "items",
        "items_max",
        "limit",
        "problem",
        "text_bytes",
        "text_bytes_max",
        "text_sizes",
    )

    def __init__(self) -> None:
        self.items: list[Any] = []
        #: 0: the next call has to look around first.
        self.limit = 0
        #: Bytes of long texts and the like in `items`, each, and in sum (about).
        self.text_sizes: list[int] = []
        self.text_bytes = 0
        #: How much of both may wait.
        self.items_max = 0
        self.text_bytes_max = 0.0
        #: Events up to this severity are dropped; 0: none.
        self.closed_to = 0
        #: Whether the delivery's thread looks here soon without being told.
        self.is_watched = False
        #: When something was gathered last.
        self.gathered_s = time.monotonic()
        #: Fields that log calls left out, and the last reason, in words.
        self.field_errors: list[int] = []
        self.problem = ""
        self.drops: dict[LossReason, list[int]] = {reason: [] for reason in LOSS_REASONS}

    @property
    def events(self) -> int:
        """How many wait to be gathered."""
        return len(self.items) // PER_EVENT

    def count_text(self, size: int) -> None:
        """Counts what an event of the long way takes beside its place; before it is appended."""
        self.text_sizes.append(size)
        self.text_bytes += size

    def forget_texts(self, count: int) -> None:
        """The first of them are gathered."""
        self.text_bytes -= sum(self.text_sizes[:count])
        del self.text_sizes[:count]
        if not self.text_sizes:
            # Two threads that count at the same time may lose one of the two.
            self.text_bytes = 0

    def has_place(self) -> bool:
        """Whether one more event may wait."""
        return len(self.items) < self.items_max and self.text_bytes < self.text_bytes_max

    def drop(self, reason: LossReason) -> None:
        """Counts an event that is not kept."""
        drops = self.drops[reason]
        count = 1
        if len(drops) >= _DROP_ENTRIES:
            # So that millions of them take no memory. What is popped is appended again, whoever comes between.
            count += _pop_all(drops)
        drops.append(count)

    def take_drops(self) -> list[tuple[LossReason, int]]:
        """The drops since the last time."""
        return [(reason, count) for reason, drops in self.drops.items() if (count := _pop_all(drops)) > 0]

    def take_field_errors(self) -> int:
        """How many fields were left out since the last time."""
        return _pop_all(self.field_errors)

    def waiting_drops(self) -> dict[LossReason, int]:
        """The drops that were not taken yet; about, while others drop."""
        return {reason: sum(tuple(drops)) for reason, drops in self.drops.items()}


def _pop_all(counts: list[int]) -> int:
    total = 0
    try:
        while counts:
            total += counts.pop()
    except IndexError:
        # Another thread was faster.
        pass
    return total
