"""Events that are alike, column by column."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from sluice.encode.columns import Columns
from sluice.encode.head import DEFAULT_SEVERITY, AnyHead, Fields, severity_number
from sluice.encode.reserved import RESERVED, STEP_MAX
from sluice.encode.shape import BODY, SPAN_ID, STEP, TRACE_ID, Shape, Shapes, sent_key, sent_name
from sluice.encode.text import pack, utf8
from sluice.encode.value import METRIC_MAX, Plain
from sluice.limits import CACHED_LAYOUTS, CACHED_PLANS, KEYS_PER_EVENT


class Likeness(NamedTuple):
    """What events have in common that may be read together."""

    name: str
    #: Of their fields, in this order.
    keys: tuple[str, ...]
    #: Whether they have more of a head than a name, and what of it.
    has_head: bool = False
    is_literal: bool = False
    has_body: bool = False
    has_step: bool = False


class _Plan:
    """How events of a likeness are read."""

    __slots__ = ("errors", "fields", "is_simple", "layouts", "name", "reserved", "width")

    def __init__(self, likeness: Likeness) -> None:
        keys = likeness.keys
        self.width = len(keys)
        self.name, is_cut = sent_name(likeness.name)
        self.errors = 1 if is_cut else 0
        #: Places of reserved names, the last one first, because they are taken out of the fields one by one.
        self.reserved = [
            (at, keys[at])
            for at in reversed(range(len(keys)))
            if keys[at] in RESERVED and not likeness.is_literal
        ]
        taken = {at for at, _ in self.reserved}
        sent = [sent_key(key) for at, key in enumerate(keys) if at not in taken]
        #: The keys of the fields, as they are sent.
        self.fields = [key for key in sent if key is not None]
        names = {key for _, key in self.reserved}
        #: Whether every key is that of a field, once, or of something reserved that is given once.
        self.is_simple = (
            len(sent) == len(self.fields) == len(set(self.fields)) <= KEYS_PER_EVENT
            and "time" not in names
            and not (likeness.has_body and "body" in names)
            and not (likeness.has_step and "step" in keys)
        )
        self.layouts: dict[tuple[tuple[str, ...], int], Shape] = {}


class AlikeReader:
    """Reads events that are alike, in loops that run in C. One thread at a time."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._plans: dict[Likeness, _Plan] = {}

    def errors_of(self, likeness: Likeness) -> int:
        """What is counted as an error for each of these."""
        return self._plan(likeness).errors

    def read(
        self,
        likeness: Likeness,
        rows: Sequence[int],
        times: list[int],
        heads: list[AnyHead],
        fields: list[Fields],
    ) -> Columns | None:
        """These events as columns; None if they cannot be read together."""
        plan = self._plan(likeness)
        if not plan.is_simple:
            return None
        values = _values(rows, fields)
        width = plan.width
        found = _Found(likeness, rows, heads)
        for at, key in plan.reserved:
            if not found.take(key, values[at::width]):
                return None
            del values[at::width]
            width -= 1
        kinds = _kinds(values, width)
        if kinds is None or not found.is_sound:
            return None
        columns = Columns(self._shape(plan, kinds, found.parts))
        columns.rows = len(rows)
        columns.offsets = array("I", rows)
        columns.times = array("q", times if len(rows) == len(times) else [times[row] for row in rows])
        found.fill(columns)
        if kinds.count("m") == width:
            columns.metrics = array("d", values)  # type: ignore[arg-type]
            return columns
        metrics = [values[at::width] for at, kind in enumerate(kinds) if kind == "m"]
        columns.metrics = array("d", chain.from_iterable(zip(*metrics)))
        texts = [_texts(values[at::width], kind) for at, kind in enumerate(kinds) if kind in "tb"]
        if texts:
            columns.set_attributes(list(zip(*texts)))
        return columns

    def _plan(self, likeness: Likeness) -> _Plan:
        plan = self._plans.get(likeness)
        if plan is None:
            if len(self._plans) >= CACHED_PLANS:
                self._plans.clear()
            plan = self._plans[likeness] = _Plan(likeness)
        return plan

    def _shape(self, plan: _Plan, kinds: tuple[str, ...], parts: int) -> Shape:
        layout = (kinds, parts)
        shape = plan.layouts.get(layout)
        if shape is None:
            if len(plan.layouts) >= CACHED_LAYOUTS:
                plan.layouts.clear()
            metrics = tuple(key for key, kind in zip(plan.fields, kinds) if kind == "m")
            attributes = tuple(key for key, kind in zip(plan.fields, kinds) if kind in "tb")
            shape = plan.layouts[layout] = self._shapes.find(plan.name, metrics, attributes, parts)
        return shape


class _Found:
    """What the events have beside their fields: in their heads, or under reserved names."""

    def __init__(self, likeness: Likeness, rows: Sequence[int], heads: list[AnyHead]) -> None:
        self.parts = 0
        self.is_sound = True
        self._severities: bytearray | None = None
        self._steps: list[Plain] = []
        self._bodies: list[bytes] = []
        self._trace_ids = self._span_ids = b""
        if not likeness.has_head:
            return
        chosen = [heads[row] for row in rows]
        self._severities = bytearray(head.severity for head in chosen)  # type: ignore[union-attr]
        if likeness.has_body:
            self.is_sound = self._take_bodies([head.body for head in chosen])  # type: ignore[union-attr]
        if likeness.has_step:
            self.is_sound = self._take_steps([head.step for head in chosen]) and self.is_sound  # type: ignore[union-attr]

    def take(self, key: str, column: list[Plain]) -> bool:
        """Whether all of the values are what the reserved name is for, and taken."""
        if key == "step":
            return self._take_steps(column)
        if key == "body":
            return self._take_bodies(column)
        if key == "severity":
            return self._take_severities(column)
        size = 16 if key == "trace_id" else 8
        ids = _ids(column, size)
        if key == "trace_id":
            self._trace_ids = ids
            self.parts |= TRACE_ID
        else:
            self._span_ids = ids
            self.parts |= SPAN_ID
        return len(ids) == size * len(column)

    def fill(self, columns: Columns) -> None:
        severities = self._severities
        columns.severity = DEFAULT_SEVERITY if severities is None else severities[0]
        if severities is not None and severities.count(severities[0]) < len(severities):
            columns.severities = severities
        if self.parts & STEP:
            columns.steps = array("q", self._steps)  # type: ignore[arg-type]
        if self.parts & BODY:
            columns.set_bodies(self._bodies)
        columns.trace_ids += self._trace_ids
        columns.span_ids += self._span_ids

    def _take_steps(self, column: list[Plain]) -> bool:
        if set(map(type, column)) != {int}:
            return False
        self._steps = column
        self.parts |= STEP
        return min(column) >= -STEP_MAX and max(column) < STEP_MAX  # type: ignore[type-var, operator]

    def _take_bodies(self, column: Iterable[object]) -> bool:
        self._bodies = [pack((utf8(body),)) for body in column if type(body) is str and body]
        self.parts |= BODY
        return len(self._bodies) == len(list(column))

    def _take_severities(self, column: list[Plain]) -> bool:
        if not set(map(type, column)) <= {str, int}:
            return False
        numbers = {value: severity_number(value) for value in set(column)}
        if None in numbers.values():
            return False
        self._severities = bytearray(map(numbers.__getitem__, column))  # type: ignore[arg-type]
        return True


def _values(rows: Sequence[int], fields: list[Fields]) -> list[Plain]:
    """The values of all fields, row by row."""
    chosen = fields if len(rows) == len(fields) else [fields[row] for row in rows]
    return list(chain.from_iterable(map(dict.values, chosen)))


def _ids(column: list[Plain], size: int) -> bytes:
    """All of them together; fewer bytes, if one is none."""
    if set(map(type, column)) != {str} or set(map(len, column)) != {2 * size}:  # type: ignore[arg-type]
        return b""
    together = "".join(column)  # type: ignore[arg-type]
    try:
        # Space, which this would pass over, is no letter.
        return bytes.fromhex(together) if together.isascii() and together.isalnum() else b""
    except ValueError:
        return b""


def _kinds(values: list[Plain], width: int) -> tuple[str, ...] | None:
    """What the fields of all events are: m(etric), t(ext), b(oolean) or nothing; None if they differ."""
    if set(map(type, values)) == {float}:
        return ("m",) * width
    kinds = []
    for at in range(width):
        kind = _kind(values[at::width])
        if kind is None:
            return None
        kinds.append(kind)
    return tuple(kinds)


def _kind(column: list[Plain]) -> str | None:
    types = set(map(type, column))
    if types == {float}:
        return "m"
    if types == {str}:
        return "t"
    if types == {bool}:
        return "b"
    if types == {type(None)}:
        return "-"
    if types <= {float, int}:
        integers = [value for value in column if type(value) is int]
        return "m" if min(integers) >= -METRIC_MAX and max(integers) <= METRIC_MAX else None
    return None


def _texts(column: list[Plain], kind: str) -> list[str]:
    if kind == "b":
        return ["true" if value else "false" for value in column]
    return column  # type: ignore[return-value]
