"""From what log calls left to columns: which shape an event has, and what becomes of its fields."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Union

from sluice.encode.columns import Columns
from sluice.encode.head import DEFAULT_SEVERITY, RESERVED, Head, severity_number
from sluice.encode.shape import BODY, SPAN_ID, STEP, TRACE_ID, Shape, Shapes, sent_key, sent_name
from sluice.encode.text import sent_text
from sluice.encode.value import Deferred, Plain
from sluice.limits import CACHED_LAYOUTS, CACHED_PLANS, EVENT_BYTES, KEYS_PER_EVENT

#: The largest integer that is a metric: beyond, a double loses digits.
_METRIC_MAX = 2**53
_TIME_MAX_NS = 2**63
_STEP_MAX = 2**63
#: A time before 1973 is a duration, or seconds where nanoseconds were meant.
_TIME_MIN_S = 100_000_000

Fields = dict[str, Plain]
#: A name alone is what `event` was given.
AnyHead = Union[str, Head]


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
        self._plans: dict[tuple[str, tuple[str, ...]], _Plan] = {}

    def read(self, times: list[int], heads: list[AnyHead], fields: list[Fields]) -> Read:
        """Reads some events in a row: when each was logged, its head and its fields."""
        errors = 0
        single = _Singles(self._shapes)
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
                errors += single.read(row, times[row], heads[row], fields[row])
        columns.extend(single.columns())
        problem = single.problem or f"the name {heads[0]!r:.100} of an event was cut"
        return Read(columns, errors, problem)

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
    return set(map(type, steps)) == {int} and min(steps) >= -_STEP_MAX and max(steps) < _STEP_MAX  # type: ignore


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
            if min(integers) < -_METRIC_MAX or max(integers) > _METRIC_MAX:
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


class _Singles:
    """Events that are read one by one, gathered by their shapes."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._columns: dict[Shape, tuple[Columns, list[tuple[str, ...]]]] = {}
        self.problem = ""

    def columns(self) -> list[Columns]:
        for columns, texts in self._columns.values():
            if columns.shape.attribute_names:
                columns.set_attributes(texts)
        return [columns for columns, _ in self._columns.values()]

    def read(self, row: int, time_ns: int, given: AnyHead, fields: Fields) -> int:
        """Returns how many fields were left out, and the like."""
        head = given if isinstance(given, Head) else Head(given)
        errors = 0
        name, is_cut = sent_name(head.name)
        found, rest, misused = _reserved(head, fields)
        metrics, texts, left_out = _fields(rest)
        errors += is_cut + misused + left_out
        if errors:
            self.problem = f"an event {name[:100]!r} has {_describe(rest, misused, left_out)}"
        body = found.body
        parts = (
            (0 if found.step is None else STEP)
            + (BODY if body else 0)
            + (TRACE_ID if found.trace_id else 0)
            + (SPAN_ID if found.span_id else 0)
        )
        shape = self._shapes.find(name, tuple(metrics), tuple(texts), parts)
        one = Columns(shape)
        one.rows = 1
        one.severity = found.severity
        one.offsets.append(row)
        one.times.append(time_ns if found.time_ns is None else found.time_ns)
        if found.step is not None:
            one.steps.append(found.step)
        one.metrics.extend(metrics.values())
        if body:
            one.append_body(body.encode())
        one.trace_ids += found.trace_id or b""
        one.span_ids += found.span_id or b""
        columns, all_texts = self._columns.setdefault(shape, (Columns(shape), []))
        columns.extend(one, 0)
        all_texts.append(tuple(texts.values()))
        return errors


def _describe(fields: Fields, misused: int, left_out: int) -> str:
    if misused:
        given = {key: fields[key] for key in RESERVED if key in fields}
        return f"a reserved name that is used for something else, which is logged as a field: {given!r:.200}"
    if left_out:
        return (
            "a field whose key is empty, too long or one too many, or whose value has no text; it is left out"
        )
    return "a name that is too long and was cut"


class _Reserved:
    """What an event has beside its fields."""

    __slots__ = ("body", "severity", "span_id", "step", "time_ns", "trace_id")

    def __init__(self, head: Head) -> None:
        self.severity = head.severity
        self.body = "" if head.body is None else sent_text(head.body)
        self.step: int | None = None
        self.time_ns: int | None = None
        self.trace_id: bytes | None = None
        self.span_id: bytes | None = None

    def take(self, key: str, value: Plain) -> bool:
        """Whether the value is what the reserved name is for, and taken."""
        if key == "step":
            self.step = read_step(value)
            return self.step is not None
        if key == "time":
            self.time_ns = read_time(value)
            return self.time_ns is not None
        if key == "severity":
            severity = severity_number(value)
            self.severity = severity or self.severity
            return severity is not None
        if key == "body":
            if self.body:
                return False
            self.body = sent_text(_text_of(value))
            return True
        found = _read_id(value, 16 if key == "trace_id" else 8)
        if key == "trace_id":
            self.trace_id = found
        else:
            self.span_id = found
        return found is not None


def _reserved(head: Head, fields: Fields) -> tuple[_Reserved, Fields, int]:
    """Takes from the fields what is reserved. What is given under a reserved name and is none of it stays a field,
    and is counted."""
    found = _Reserved(head)
    if head.is_literal:
        step: Fields = {} if head.step is None else {"step": head.step}
        errors = _take_reserved(found, step)
        # A step that is none: a field, unless there is one of its name.
        return found, {**step, **fields}, errors
    if fields.keys().isdisjoint(RESERVED):
        return found, fields, 0
    rest = dict(fields)
    return found, rest, _take_reserved(found, rest)


def _take_reserved(found: _Reserved, fields: Fields) -> int:
    errors = 0
    for key in RESERVED:
        if key not in fields:
            continue
        try:
            value = _resolved(fields[key])
        except Exception:
            # A tensor whose device failed.
            value = None
            errors += 1
        if value is None or found.take(key, value):
            del fields[key]
        else:
            errors += 1
    return errors


def read_step(value: object) -> int | None:
    """A whole number of 64 bits."""
    return value if type(value) is int and -_STEP_MAX <= value < _STEP_MAX else None


def read_time(value: object) -> int | None:
    """Nanoseconds since 1970: given as such by an integer, as seconds by a float."""
    if type(value) is float:
        # NaN is none of these.
        return int(value * 1e9) if _TIME_MIN_S <= value < _TIME_MAX_NS / 1e9 else None
    return value if type(value) is int and _TIME_MIN_S * 10**9 <= value < _TIME_MAX_NS else None


def _read_id(value: object, size: int) -> bytes | None:
    if type(value) is not str or len(value) != 2 * size or not value.isascii() or not value.isalnum():
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None


def _text_of(value: object) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    return str(value)


def _resolved(value: Plain) -> Plain:
    """The value of a tensor on a device. Raises what the tensor does."""
    return value.read() if type(value) is Deferred else value


def _fields(fields: Fields) -> tuple[dict[str, float], dict[str, str], int]:
    """Metrics, texts, and how many fields were left out."""
    metrics: dict[str, float] = {}
    texts: dict[str, str] = {}
    errors = admitted = 0
    for given, value in fields.items():
        if value is None:
            continue
        key = sent_key(given)
        if key is None or admitted == KEYS_PER_EVENT:
            errors += 1
            continue
        admitted += 1
        try:
            value = _resolved(value)
            if type(value) is float:
                metrics[key] = value
            elif type(value) is int and -_METRIC_MAX <= value <= _METRIC_MAX:
                metrics[key] = float(value)
            elif value is not None:
                texts[key] = sent_text(_text_of(value))
        except Exception:
            # A tensor whose device failed; an integer of more digits than the interpreter prints.
            errors += 1
    return metrics, texts, errors


def is_too_large(columns: Columns) -> bool:
    """Whether any of the events is larger than the collector takes."""
    return columns.largest_row() > EVENT_BYTES
