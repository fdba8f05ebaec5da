"""From what log calls left to columns: which shape an event has, and what becomes of its fields."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from sluice.encode.columns import Columns
from sluice.encode.head import DEFAULT_SEVERITY, AnyHead, Fields, Head
from sluice.encode.reserved import RESERVED, STEP_MAX
from sluice.encode.row_reader import RowReader
from sluice.encode.shape import STEP, Shape, Shapes, sent_key, sent_name
from sluice.encode.value import METRIC_MAX, Plain
from sluice.limits import CACHED_LAYOUTS, CACHED_PLANS, EVENT_BYTES, KEYS_PER_EVENT


class Read(NamedTuple):
    """What was read of some events in a row. Offsets in the columns count from the first of them."""

    columns: list[Columns]
    #: Fields left out, cut names, and reserved names that were used for something else.
    field_errors: int
    #: The last of these, in words.
    problem: str


class _Plan:
    """What is the same for all events of a name with the same keys in the same order."""

    __slots__ = ("attributes", "errors", "fields", "is_simple", "layouts", "name", "step_at")

    def __init__(self, name: str, keys: tuple[str, ...]) -> None:
        self.name, is_cut = sent_name(name)
        self.errors = 1 if is_cut else 0
        self.step_at = keys.index("step") if "step" in keys else -1
        sent = [sent_key(key) for key in keys if key != "step"]
        self.fields = [key for key in sent if key is not None]
        #: Whether every key is that of a field, once, but for the step.
        self.is_simple = len(sent) == len(self.fields) == len(set(self.fields)) <= KEYS_PER_EVENT and set(
            keys
        ).isdisjoint(RESERVED[1:])
        self.layouts: dict[tuple[str, ...], Shape] = {}


class EventReader:
    """Reads what log calls were given, by the rules for names, fields and reserved names. One thread at a time.

    Invariants:
    1. A field that cannot be encoded costs itself and is counted; nothing here costs the event.
    2. Events of one name and the same keys, whose values are of the same kinds, are read column by column, in loops
       that run in C; all others one by one, with the same result.
    """

    def __init__(self) -> None:
        self._shapes = Shapes()
        self._row_reader = RowReader(self._shapes)
        self._plans: dict[tuple[str, tuple[str, ...]], _Plan] = {}

    def read(self, times: list[int], heads: list[AnyHead], fields: list[Fields]) -> Read:
        """Reads some events in a row: when each was logged, its head and its fields."""
        errors = 0
        rows_read = self._row_reader
        columns: list[Columns] = []
        for (head, keys), rows in _groups(heads, fields).items():
            if type(head) is str:
                plan = self._plan(head, keys)
                read = self._read_alike(plan, rows, times, fields)
                if read is not None:
                    columns.append(read)
                    errors += plan.errors * len(rows)
                    continue
            for row in rows:
                errors += rows_read.read(row, times[row], heads[row], fields[row])
        more, problem = rows_read.take()
        columns.extend(more)
        return Read(columns, errors, problem or f"the name {heads[0]!r:.100} of an event was cut")

    def _plan(self, name: str, keys: tuple[str, ...]) -> _Plan:
        plan = self._plans.get((name, keys))
        if plan is None:
            if len(self._plans) >= CACHED_PLANS:
                self._plans.clear()
            plan = self._plans[name, keys] = _Plan(name, keys)
        return plan

    def _read_alike(
        self, plan: _Plan, rows: Sequence[int], times: list[int], fields: list[Fields]
    ) -> Columns | None:
        """Events of one plan, as columns; None if they are not as much alike as that."""
        if not plan.is_simple:
            return None
        count = len(rows)
        is_all = count == len(fields)
        chosen = fields if is_all else [fields[row] for row in rows]
        values = list(chain.from_iterable(map(dict.values, chosen)))
        width = len(plan.fields)
        steps: list[Plain] = []
        if plan.step_at >= 0:
            steps = values[plan.step_at :: width + 1]
            if not _are_steps(steps):
                return None
            del values[plan.step_at :: width + 1]
        kinds = _kinds(values, width)
        if kinds is None:
            return None
        parts = STEP if plan.step_at >= 0 else 0
        columns = Columns(self._shape(plan, kinds, parts))
        columns.rows = count
        columns.severity = DEFAULT_SEVERITY
        columns.offsets = array("I", rows)
        columns.times = array("q", times if is_all else [times[row] for row in rows])
        if parts:
            columns.steps = array("q", steps)  # type: ignore[arg-type]
        if kinds.count("m") == width:
            columns.metrics = array("d", values)  # type: ignore[arg-type]
        else:
            metrics = [values[at::width] for at, kind in enumerate(kinds) if kind == "m"]
            columns.metrics = array("d", chain.from_iterable(zip(*metrics)))
            texts = [_texts(values[at::width], kind) for at, kind in enumerate(kinds) if kind in "tb"]
            if texts:
                columns.set_attributes(list(zip(*texts)))
        return columns

    def _shape(self, plan: _Plan, kinds: tuple[str, ...], parts: int) -> Shape:
        shape = plan.layouts.get(kinds)
        if shape is None:
            if len(plan.layouts) >= CACHED_LAYOUTS:
                plan.layouts.clear()
            metrics = tuple(key for key, kind in zip(plan.fields, kinds) if kind == "m")
            attributes = tuple(key for key, kind in zip(plan.fields, kinds) if kind in "tb")
            shape = plan.layouts[kinds] = self._shapes.find(plan.name, metrics, attributes, parts)
        return shape


def _groups(
    heads: list[AnyHead], fields: list[Fields]
) -> dict[tuple[AnyHead, tuple[str, ...]], Sequence[int]]:
    """Which events have the same head and the same keys; mostly all of them."""
    keys: list[tuple[str, ...]] = list(map(tuple, fields))
    head = heads[0]
    if type(head) is str and keys.count(keys[0]) == len(keys) and heads.count(head) == len(heads):
        return {(head, keys[0]): range(len(keys))}
    groups: dict[tuple[AnyHead, tuple[str, ...]], list[int]] = {}
    for row, key in enumerate(zip(heads, keys)):
        # Heads are read one by one anyway.
        group = key if type(key[0]) is str else _HEADS
        try:
            groups[group].append(row)
        except KeyError:
            groups[group] = [row]
    return groups  # type: ignore[return-value]


_HEADS: tuple[AnyHead, tuple[str, ...]] = (Head(), ())


def _are_steps(steps: list[Plain]) -> bool:
    return set(map(type, steps)) == {int} and min(steps) >= -STEP_MAX and max(steps) < STEP_MAX  # type: ignore


def _kinds(values: list[Plain], width: int) -> tuple[str, ...] | None:
    """What the fields of all events are: m(etric), t(ext), b(oolean) or nothing; None if they differ."""
    if set(map(type, values)) == {float}:
        return ("m",) * width
    kinds = []
    for at in range(width):
        column = values[at::width]
        types = set(map(type, column))
        if types == {float}:
            kind = "m"
        elif types == {str}:
            kind = "t"
        elif types == {bool}:
            kind = "b"
        elif types == {type(None)}:
            kind = "-"
        elif types <= {float, int}:
            integers = [value for value in column if type(value) is int]
            if min(integers) < -METRIC_MAX or max(integers) > METRIC_MAX:
                return None
            kind = "m"
        else:
            return None
        kinds.append(kind)
    return tuple(kinds)


def _texts(column: list[Plain], kind: str) -> list[str]:
    if kind == "b":
        return ["true" if value else "false" for value in column]
    return column  # type: ignore[return-value]


def is_too_large(columns: Columns) -> bool:
    """Whether any of the events is larger than the collector takes."""
    return columns.largest_row() > EVENT_BYTES
