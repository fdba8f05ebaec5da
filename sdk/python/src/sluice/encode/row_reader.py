"""Events one by one, for those that are not alike."""

from __future__ import annotations

from array import array

from sluice.encode.columns import Columns
from sluice.encode.head import AnyHead, Fields, Head
from sluice.encode.reserved import RESERVED, ReservedValues, take_reserved
from sluice.encode.shape import BODY, SPAN_ID, STEP, TRACE_ID, Shape, Shapes, sent_key, sent_name
from sluice.encode.text import pack, utf8
from sluice.encode.value import METRIC_MAX, resolved, text_of
from sluice.limits import CACHED_TEXTS, KEYS_PER_EVENT


class _Rows:
    """Events of one shape, not in columns yet."""

    __slots__ = (
        "bodies",
        "metrics",
        "offsets",
        "severities",
        "span_ids",
        "steps",
        "texts",
        "times",
        "trace_ids",
    )

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.times: list[int] = []
        self.steps: list[int] = []
        self.severities = bytearray()
        self.metrics: list[float] = []
        self.texts: list[tuple[str, ...]] = []
        self.bodies: list[bytes] = []
        self.trace_ids = bytearray()
        self.span_ids = bytearray()

    def columns(self, shape: Shape) -> Columns:
        columns = Columns(shape)
        columns.rows = len(self.offsets)
        columns.offsets = array("I", self.offsets)
        columns.times = array("q", self.times)
        columns.steps = array("q", self.steps)
        columns.severity = self.severities[0]
        if self.severities.count(columns.severity) < columns.rows:
            columns.severities = self.severities
        columns.metrics = array("d", self.metrics)
        if shape.attribute_names:
            columns.set_attributes(self.texts)
        columns.set_bodies(self.bodies)
        columns.trace_ids, columns.span_ids = self.trace_ids, self.span_ids
        return columns


class RowReader:
    """Reads events one by one, and gathers them by their shapes. One thread at a time."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._names: dict[str, tuple[str, bool]] = {}
        self._keys: dict[str, str | None] = {}
        self._rows: dict[Shape, _Rows] = {}
        self._problem = ""

    def read(self, row: int, time_ns: int, given: AnyHead, fields: Fields) -> int:
        """Returns how many fields were left out, and the like."""
        head = given if type(given) is Head else Head(given)  # type: ignore[arg-type]
        name, is_cut = self._name(head.name)
        reserved, rest, misused = take_reserved(head, fields)
        metrics, texts, left_out = self._fields(rest)
        errors = is_cut + misused + left_out
        if errors:
            self._problem = f"an event {name[:100]!r} has {_describe(rest, misused, left_out)}"
        shape = self._shapes.find(name, tuple(metrics), tuple(texts), reserved.parts)
        rows = self._rows.get(shape)
        if rows is None:
            rows = self._rows[shape] = _Rows()
        rows.offsets.append(row)
        rows.severities.append(reserved.severity)
        rows.metrics.extend(metrics.values())
        rows.texts.append(tuple(texts.values()))
        rows.times.append(time_ns if reserved.time_ns is None else reserved.time_ns)
        if shape.parts:
            _append_parts(rows, shape.parts, reserved)
        return errors

    def forget(self) -> None:
        """Begins anew, whatever happened before."""
        self._rows = {}
        self._problem = ""

    def take(self) -> tuple[list[Columns], str]:
        """What was read since the last time, and the last thing that was wrong with it, in words."""
        columns = [rows.columns(shape) for shape, rows in self._rows.items()]
        problem = self._problem
        self.forget()
        return columns, problem

    def _fields(self, fields: Fields) -> tuple[dict[str, float], dict[str, str], int]:
        """Metrics, texts, and how many fields were left out. A key that comes twice once it is sent keeps its last
        value, in the place of the first."""
        metrics: dict[str, float] = {}
        texts: dict[str, str] = {}
        errors = admitted = 0
        keys = self._keys
        for given, value in fields.items():
            if value is None:
                continue
            key = keys[given] if given in keys else self._key(given)
            if key is None or admitted == KEYS_PER_EVENT:
                errors += 1
                continue
            admitted += 1
            try:
                value = resolved(value)
                if type(value) is float:
                    metrics[key] = value
                elif type(value) is int and -METRIC_MAX <= value <= METRIC_MAX:
                    metrics[key] = float(value)
                elif value is not None:
                    texts[key] = text_of(value)
            except Exception:
                # A tensor whose device failed; an integer of more digits than the interpreter prints.
                errors += 1
        return metrics, texts, errors

    def _name(self, name: str) -> tuple[str, bool]:
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= CACHED_TEXTS:
                self._names.clear()
            known = self._names[name] = sent_name(name)
        return known

    def _key(self, key: str) -> str | None:
        sent = sent_key(key)
        # What is too long is not worth its memory.
        if sent is not None:
            if len(self._keys) >= CACHED_TEXTS:
                self._keys.clear()
            self._keys[key] = sent
        return sent


def _append_parts(rows: _Rows, parts: int, reserved: ReservedValues) -> None:
    if parts & STEP and reserved.step is not None:
        rows.steps.append(reserved.step)
    if parts & BODY:
        rows.bodies.append(pack((utf8(reserved.body),)))
    if parts & TRACE_ID:
        rows.trace_ids += reserved.trace_id
    if parts & SPAN_ID:
        rows.span_ids += reserved.span_id


def _describe(fields: Fields, misused: int, left_out: int) -> str:
    if misused:
        given = {key: fields[key] for key in RESERVED if key in fields}
        return f"a reserved name that is used for something else, which is logged as a field: {given!r:.200}"
    if left_out:
        return (
            "a field whose key is empty, too long or one too many, or whose value has no text; it is left out"
        )
    return "a name that is too long and was cut"
