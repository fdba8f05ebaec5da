"""Events of one shape, as columns."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain

from sluice.encode.shape import BODY, SPAN_ID, STEP, TRACE_ID, Shape
from sluice.encode.text import pack, packed_size, sent_text


class Columns:
    """Events of one shape, in memory of about the size in which they are sent.

    Invariants:
    1. Every column has `rows` entries, or none if the shape has no such part. `metrics`, `attributes` and the ids are
       row-major.
    2. While all rows have had the same attributes, these are in `constant` alone, and `attributes` is empty.
    3. While all rows have had the same severity, it is in `severity` alone, and `severities` is None.
    4. `size_bytes` is the sum of `row_size` over all rows. What is the same in all rows counts for each of them, so
       that the size of an event does not depend on its neighbours.
    """

    __slots__ = (
        "attribute_sizes",
        "attributes",
        "bodies",
        "body_sizes",
        "constant",
        "constant_size",
        "metrics",
        "offsets",
        "rows",
        "severities",
        "severity",
        "shape",
        "span_ids",
        "steps",
        "text_bytes",
        "times",
        "trace_ids",
    )

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.rows = 0
        #: Numbers, counted from the first of the draft.
        self.offsets = array("I")
        #: Nanoseconds since 1970.
        self.times = array("q")
        self.steps = array("q")
        self.severity = 0
        self.severities: bytearray | None = None
        self.metrics = array("d")
        self.constant: tuple[str, ...] | None = ()
        self.constant_size = 0
        #: Texts with their lengths.
        self.attributes = bytearray()
        self.attribute_sizes = array("I")
        self.bodies = bytearray()
        self.body_sizes = array("I")
        self.trace_ids = bytearray()
        self.span_ids = bytearray()
        self.text_bytes = 0

    @property
    def size_bytes(self) -> int:
        return self.rows * self.shape.row_bytes + self.text_bytes

    def row_size(self, row: int) -> int:
        """What an event is counted as, from when it comes to when it goes."""
        size = self.shape.row_bytes
        size += self.constant_size if self.constant is not None else self.attribute_sizes[row]
        return size + self.body_sizes[row] if self.body_sizes else size

    def largest_row(self) -> int:
        """At least what the largest event counts towards the limit of an event."""
        size = self.shape.limited_bytes
        size += self.constant_size if self.constant is not None else max(self.attribute_sizes, default=0)
        return size + max(self.body_sizes) if self.body_sizes else size

    def severity_of(self, row: int) -> int:
        return self.severity if self.severities is None else self.severities[row]

    def set_attributes(self, texts: list[tuple[str, ...]]) -> None:
        """The attributes of all rows, which are as many as there are texts; once, in the beginning."""
        try:
            self._set_attributes(texts)
        except UnicodeEncodeError:
            self._set_attributes([tuple(map(sent_text, each)) for each in texts])

    def _set_attributes(self, texts: list[tuple[str, ...]]) -> None:
        first = texts[0]
        if texts.count(first) == len(texts):
            self.constant_size = packed_size([text.encode() for text in first])
            self.constant = first
            self.text_bytes += self.constant_size * len(texts)
            return
        encoded = [text.encode() for text in chain.from_iterable(texts)]
        self.constant = None
        self.attributes += pack(encoded)
        count = len(first)
        sizes = [packed_size(encoded[at : at + count]) for at in range(0, len(encoded), count)]
        self.attribute_sizes = array("I", sizes)
        self.text_bytes += len(self.attributes)

    def set_bodies(self, packed: list[bytes]) -> None:
        """The bodies of all rows, each with its length in front; once, in the beginning."""
        self.bodies = bytearray().join(packed)
        self.body_sizes = array("I", map(len, packed))
        self.text_bytes += len(self.bodies)

    def extend(self, other: Columns, shift: int) -> None:
        """Appends rows of the same shape, whose offsets grow by `shift`."""
        if other.rows == 0:
            return
        self._extend_severity(other)
        self._extend_attributes(other)
        self.offsets.extend(
            array("I", [offset + shift for offset in other.offsets]) if shift else other.offsets
        )
        self.times.extend(other.times)
        self.steps.extend(other.steps)
        self.metrics.extend(other.metrics)
        self.bodies += other.bodies
        self.body_sizes.extend(other.body_sizes)
        self.trace_ids += other.trace_ids
        self.span_ids += other.span_ids
        self.text_bytes += other.text_bytes
        self.rows += other.rows

    def select(self, rows: Sequence[int]) -> Columns:
        """New columns of these rows, in this order."""
        shape = self.shape
        selected = Columns(shape)
        selected.rows = len(rows)
        selected.offsets = array("I", map(self.offsets.__getitem__, rows))
        selected.times = array("q", map(self.times.__getitem__, rows))
        if shape.parts & STEP:
            selected.steps = array("q", map(self.steps.__getitem__, rows))
        selected.severity = self.severity
        if self.severities is not None:
            selected.severities = bytearray(map(self.severities.__getitem__, rows))
        width = len(shape.metric_names)
        if width:
            metrics = self.metrics
            for row in rows:
                selected.metrics.extend(metrics[row * width : (row + 1) * width])
        selected.constant, selected.constant_size = self.constant, self.constant_size
        if self.constant is None:
            selected.attributes = _pick(self.attributes, self.attribute_sizes, rows)
            selected.attribute_sizes = array("I", map(self.attribute_sizes.__getitem__, rows))
        if shape.parts & BODY:
            selected.bodies = _pick(self.bodies, self.body_sizes, rows)
            selected.body_sizes = array("I", map(self.body_sizes.__getitem__, rows))
        if shape.parts & TRACE_ID:
            selected.trace_ids = bytearray().join([self.trace_ids[row * 16 : row * 16 + 16] for row in rows])
        if shape.parts & SPAN_ID:
            selected.span_ids = bytearray().join([self.span_ids[row * 8 : row * 8 + 8] for row in rows])
        attribute_bytes = len(selected.attributes) or selected.constant_size * selected.rows
        selected.text_bytes = attribute_bytes + len(selected.bodies)
        return selected

    def ascending(self) -> Columns:
        """The same rows in the order of their numbers; itself, if they are."""
        offsets = self.offsets.tolist()
        ordered = sorted(offsets)
        if offsets == ordered:
            return self
        return self.select(sorted(range(self.rows), key=offsets.__getitem__))

    def _extend_severity(self, other: Columns) -> None:
        if self.rows == 0:
            self.severity = other.severity
            self.severities = None if other.severities is None else bytearray(other.severities)
        elif self.severities is not None or other.severities is not None or self.severity != other.severity:
            if self.severities is None:
                self.severities = bytearray([self.severity]) * self.rows
            self.severities += (
                bytearray([other.severity]) * other.rows if other.severities is None else other.severities
            )

    def _extend_attributes(self, other: Columns) -> None:
        if self.rows == 0:
            self.constant, self.constant_size = other.constant, other.constant_size
            self.attributes += other.attributes
            self.attribute_sizes.extend(other.attribute_sizes)
            return
        if self.constant is not None:
            if self.constant == other.constant:
                return
            self.attributes += pack([text.encode() for text in self.constant]) * self.rows
            self.attribute_sizes.extend(array("I", [self.constant_size]) * self.rows)
            self.constant = None
        if other.constant is None:
            self.attributes += other.attributes
            self.attribute_sizes.extend(other.attribute_sizes)
        else:
            self.attributes += pack([text.encode() for text in other.constant]) * other.rows
            self.attribute_sizes.extend(array("I", [other.constant_size]) * other.rows)


def _pick(data: bytearray, sizes: array[int], rows: Sequence[int]) -> bytearray:
    """The pieces of these rows."""
    ends = list(accumulate(sizes))
    return bytearray().join([data[ends[row] - sizes[row] : ends[row]] for row in rows])
