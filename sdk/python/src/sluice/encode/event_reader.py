"""From what log calls left to columns: which events are alike, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sluice.encode.alike_reader import AlikeReader, Likeness
from sluice.encode.columns import Columns
from sluice.encode.head import AnyHead, Fields, Head
from sluice.encode.row_reader import RowReader
from sluice.encode.shape import Shapes
from sluice.limits import EVENT_BYTES

#: Fewer than so many are read one by one, which then costs less.
_ALIKE_MIN = 3


class Read(NamedTuple):
    """What was read of some events in a row. Offsets in the columns count from the first of them."""

    columns: list[Columns]
    #: Fields left out, cut names, and reserved names that were used for something else.
    field_errors: int
    #: The last of these, in words.
    problem: str


class EventReader:
    """Reads what log calls were given, by the rules for names, fields and reserved names. One thread at a time.

    Invariants:
    1. A field that cannot be encoded costs itself and is counted; nothing here costs the event.
    2. Events that are alike (see `Likeness`) and whose values are of the same kinds are read column by column, in loops
       that run in C; all others one by one, with the same result.
    """

    def __init__(self) -> None:
        shapes = Shapes()
        self._alike = AlikeReader(shapes)
        self._one_by_one = RowReader(shapes)

    def read(self, times: list[int], heads: list[AnyHead], fields: list[Fields]) -> Read:
        """Reads some events in a row: when each was logged, its head and its fields."""
        errors = 0
        columns: list[Columns] = []
        self._one_by_one.forget()
        for likeness, rows in _groups(heads, fields).items():
            for part in self._read_alike(likeness, rows, times, heads, fields, columns):
                for row in part:
                    errors += self._one_by_one.read(row, times[row], heads[row], fields[row])
                errors -= self._alike.errors_of(likeness) * len(part)
            errors += self._alike.errors_of(likeness) * len(rows)
        more, problem = self._one_by_one.take()
        columns.extend(more)
        return Read(columns, errors, problem or "the name of an event is too long and was cut")

    def _read_alike(
        self,
        likeness: Likeness,
        rows: Sequence[int],
        times: list[int],
        heads: list[AnyHead],
        fields: list[Fields],
        columns: list[Columns],
    ) -> list[Sequence[int]]:
        """Appends columns of what can be read together; returns the rows of what is left."""
        read = self._alike.read(likeness, rows, times, heads, fields)
        if read is not None:
            columns.append(read)
            return []
        parts: dict[tuple[type, ...], list[int]] = {}
        if len(rows) >= _ALIKE_MIN:
            # A field is a number in one and a text in another, perhaps.
            for row in rows:
                parts.setdefault(tuple(map(type, fields[row].values())), []).append(row)
        if len(parts) < 2:
            return [rows]
        left: list[Sequence[int]] = []
        for part in parts.values():
            read = None
            if len(part) >= _ALIKE_MIN:
                read = self._alike.read(likeness, part, times, heads, fields)
            if read is None:
                left.append(part)
            else:
                columns.append(read)
        return left


def _groups(heads: list[AnyHead], fields: list[Fields]) -> dict[Likeness, Sequence[int]]:
    """Which events are alike; mostly all of them."""
    keys: list[tuple[str, ...]] = list(map(tuple, fields))
    head = heads[0]
    if type(head) is str and keys.count(keys[0]) == len(keys) and heads.count(head) == len(heads):
        return {Likeness(head, keys[0]): range(len(keys))}
    groups: dict[Likeness, list[int]] = {}
    for row, each in enumerate(heads):
        if type(each) is Head:
            likeness = Likeness(
                each.name, keys[row], True, each.is_literal, bool(each.body), each.step is not None
            )
        else:
            likeness = Likeness(each, keys[row])  # type: ignore[arg-type]
        try:
            groups[likeness].append(row)
        except KeyError:
            groups[likeness] = [row]
    return groups  # type: ignore[return-value]


def is_too_large(columns: Columns) -> bool:
    """Whether any of the events is larger than the collector takes."""
    return columns.largest_row() > EVENT_BYTES
