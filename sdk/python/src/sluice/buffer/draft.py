"""A request that is not frozen yet: its events may still be evicted."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sluice.buffer.draft_losses import DraftLosses
from sluice.buffer.frozen_request import first_sequence_field
from sluice.buffer.loss import LossRange, LossReason, append_loss, encode_losses
from sluice.buffer.tally import Tally
from sluice.delivery.source import FrozenRequest
from sluice.encode.columns import Columns
from sluice.encode.shape import Shape
from sluice.limits import COMPACTION_SHARE, LOSSES_PER_REQUEST, NUMBERS_PER_REQUEST, SHAPES_PER_REQUEST

#: Blocks, or events, as fields of a request.
Encode = Callable[[Iterable[Columns]], bytes]


class Draft:
    """Events in columns, and the numbers between them that were lost.

    Invariants:
    1. Every number from `first` on, `count` of them, is an event in one of the columns, an evicted event, or a loss.
    2. `tally` counts the events that were not evicted; their bytes are what they were counted as when they came.
    """

    def __init__(self, first: int, opened_s: float) -> None:
        self.first = first
        self.opened_s = opened_s
        self.count = 0
        self.tally = Tally()
        #: Bytes that it takes beside its events.
        self.overhead = 0
        self._columns: dict[Shape, Columns] = {}
        #: Bytes of its events, evicted ones included as long as they take memory.
        self._event_bytes = 0
        self._events = 0
        self._losses = DraftLosses()
        #: By severity, the places of events, the newest last; made when the first is evicted.
        self._places: dict[int, list[tuple[Columns, int]]] | None = None
        self._evicted_rows: dict[Shape, set[int]] = {}
        self._evicted_offsets: list[int] = []
        self._evicted_ns = 0

    def overhead_of(self, columns: Iterable[Columns]) -> int:
        """What these would take beside their events."""
        return sum(each.shape.head_bytes for each in columns if each.shape not in self._columns)

    def shapes_with(self, columns: Iterable[Columns]) -> int:
        """How many shapes it would have with these."""
        return len(self._columns) + sum(each.shape not in self._columns for each in columns)

    def add(self, columns: Iterable[Columns], count: int) -> None:
        """Appends so many events, whose offsets count from the first of them."""
        for each in columns:
            known = self._columns.get(each.shape)
            if known is None:
                known = self._columns[each.shape] = Columns(each.shape)
                self.overhead += each.shape.head_bytes
            rows = known.rows
            known.extend(each, self.count)
            self.tally.add(each)
            self._event_bytes += each.size_bytes
            if self._places is not None:
                self._append_places(self._places, known, rows)
        self.count += count
        self._events += count

    def lose(self, reason: LossReason, count: int, time_ns: int) -> None:
        """Numbers that were used up behind the last event."""
        self._losses.add(self._events, reason, count, time_ns)
        self.count += count

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        return self._event_bytes + self.overhead

    def is_full(self, request_bytes: int) -> bool:
        """Whether it should be sealed, if a request is to have this size."""
        return (
            self.size_bytes >= request_bytes
            or len(self._columns) >= SHAPES_PER_REQUEST
            or self.count >= NUMBERS_PER_REQUEST
        )

    def evict_newest(self, severity: int, time_ns: int) -> int:
        """Drops the newest event of a severity, of which there must be one; returns its size."""
        if self._places is None:
            self._places = self._all_places()
        columns, row = self._places[severity].pop()
        size = columns.row_size(row)
        self._evicted_rows.setdefault(columns.shape, set()).add(row)
        self._evicted_offsets.append(columns.offsets[row])
        self._evicted_ns = self._evicted_ns or time_ns
        self.tally.change(severity, -1, -size)
        return size

    def compact(self, is_left: bool) -> None:
        """Gives back the memory of what was evicted, if that is worth it. `is_left`: the eviction goes on in another
        draft."""
        evicted_bytes = self._event_bytes - self.tally.bytes
        if evicted_bytes > self._event_bytes * COMPACTION_SHARE or (is_left and evicted_bytes > 0):
            self._drop_evicted()
        if is_left:
            self._places = None

    def freeze(self, encode: Encode) -> list[FrozenRequest]:
        """The request; several, if there are a great many losses."""
        self._drop_evicted()
        columns = [each.ascending() for each in self._columns.values() if each.rows]
        # In the order in which their shapes first came.
        columns.sort(key=lambda each: each.offsets[0])
        losses = self._all_losses()
        requests = []
        start = self.first
        for index in range(0, max(1, len(losses)), LOSSES_PER_REQUEST):
            part = losses[index : index + LOSSES_PER_REQUEST]
            rest = losses[index + LOSSES_PER_REQUEST : index + LOSSES_PER_REQUEST + 1]
            end = rest[0].first if rest else self.first + self.count
            is_whole = start == self.first and not rest
            chosen = columns if is_whole else _between(columns, start - self.first, end - self.first)
            events = sum(each.rows for each in chosen)
            data = first_sequence_field(start) + encode(chosen) + encode_losses(part)
            requests.append(FrozenRequest(start, end - 1, events, tuple(part), data))
            start = end
        return requests

    def _drop_evicted(self) -> None:
        for shape, evicted in self._evicted_rows.items():
            columns = self._columns[shape]
            self._columns[shape] = columns.select([row for row in range(columns.rows) if row not in evicted])
        if self._evicted_rows:
            self._evicted_rows = {}
            self._places = None
            self._event_bytes = self.tally.bytes

    def _all_places(self) -> dict[int, list[tuple[Columns, int]]]:
        ordered = sorted(
            (offset, columns.shape.row_bytes, row, columns)
            for columns in self._columns.values()
            for row, offset in enumerate(columns.offsets)
            if row not in self._evicted_rows.get(columns.shape, ())
        )
        places: dict[int, list[tuple[Columns, int]]] = {}
        for _, _, row, columns in ordered:
            places.setdefault(columns.severity_of(row), []).append((columns, row))
        return places

    def _append_places(
        self, places: dict[int, list[tuple[Columns, int]]], columns: Columns, start: int
    ) -> None:
        for row in range(start, columns.rows):
            places.setdefault(columns.severity_of(row), []).append((columns, row))

    def _all_losses(self) -> list[LossRange]:
        """Those that came as such and those that were evicted, ascending."""
        losses: list[LossRange] = []
        evicted = sorted(self._evicted_offsets)
        at = 0
        for loss in self._losses.ranges(self.first):
            while at < len(evicted) and self.first + evicted[at] < loss.first:
                append_loss(losses, LossRange(self.first + evicted[at], 1, "buffer_full", self._evicted_ns))
                at += 1
            append_loss(losses, loss)
        for offset in evicted[at:]:
            append_loss(losses, LossRange(self.first + offset, 1, "buffer_full", self._evicted_ns))
        return losses


def _between(columns: Iterable[Columns], low: int, high: int) -> list[Columns]:
    """The events of these offsets, which then count from the lowest."""
    chosen = []
    for each in columns:
        rows = [row for row, offset in enumerate(each.offsets) if low <= offset < high]
        if not rows:
            continue
        selected = each.select(rows)
        for row, offset in enumerate(selected.offsets):
            selected.offsets[row] = offset - low
        chosen.append(selected)
    return chosen
