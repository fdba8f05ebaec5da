"""What events of one kind have in common."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.encode.protobuf import bytes_field
from sluice.encode.text import sent_text, utf8, utf8_cut
from sluice.limits import CACHED_SHAPE_KEYS, KEY_BYTES, NAME_BYTES

#: What an event has beside its fields; a sum of these.
STEP = 1
BODY = 2
TRACE_ID = 4
SPAN_ID = 8

#: Tags and lengths of a block's fields and its count are never more.
_FIELD_HEADS_BYTES = 64

_NAME_FIELD = 1
_METRIC_NAME_FIELD = 8
_ATTRIBUTE_NAME_FIELD = 10


class Shape:
    """The name of an event, the names of its metrics and of its attributes in the order in which they are logged, and
    which parts it has. Texts are as they are sent."""

    __slots__ = (
        "attribute_names",
        "attribute_names_field",
        "head_bytes",
        "limited_bytes",
        "metric_names",
        "metric_names_field",
        "name",
        "name_field",
        "parts",
        "row_bytes",
    )

    def __init__(self, name: str, metrics: Sequence[str], attributes: Sequence[str], parts: int) -> None:
        self.name = name.encode()
        self.metric_names = tuple(key.encode() for key in metrics)
        self.attribute_names = tuple(key.encode() for key in attributes)
        self.parts = parts
        #: As they stand in an EventBlock.
        self.name_field = bytes_field(_NAME_FIELD, self.name)
        self.metric_names_field = b"".join(bytes_field(_METRIC_NAME_FIELD, key) for key in self.metric_names)
        self.attribute_names_field = b"".join(
            bytes_field(_ATTRIBUTE_NAME_FIELD, key) for key in self.attribute_names
        )
        #: What a block takes without its events.
        self.head_bytes = (
            len(self.name_field)
            + len(self.metric_names_field)
            + len(self.attribute_names_field)
            + _FIELD_HEADS_BYTES
        )
        #: What an event takes in memory without its texts: offset, time and severity, and what it has of the rest.
        self.row_bytes = (
            4
            + 8
            + 1
            + 8 * len(metrics)
            + (8 if parts & STEP else 0)
            + (16 if parts & TRACE_ID else 0)
            + (8 if parts & SPAN_ID else 0)
        )
        #: Bytes of the name, the keys and the metrics, which count towards the limit of an event.
        self.limited_bytes = (
            len(self.name)
            + sum(map(len, self.metric_names))
            + sum(map(len, self.attribute_names))
            + 8 * len(metrics)
        )


class Shapes:
    """The shapes that were met. Two shapes are one object if they are equal, unless the program makes up so many that
    they are forgotten in between. One thread at a time."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, tuple[str, ...], tuple[str, ...], int], Shape] = {}
        self._key_count = 0

    def find(self, name: str, metrics: tuple[str, ...], attributes: tuple[str, ...], parts: int) -> Shape:
        """The shape of these, which are texts as they are sent."""
        key = (name, metrics, attributes, parts)
        shape = self._shapes.get(key)
        if shape is None:
            # A name counts as a key, so that shapes without keys are bounded as well.
            self._key_count += 1 + len(metrics) + len(attributes)
            if self._key_count > CACHED_SHAPE_KEYS:
                self._shapes.clear()
                self._key_count = 0
            shape = self._shapes[key] = Shape(name, metrics, attributes, parts)
        return shape


def sent_name(name: str) -> tuple[str, bool]:
    """The name as it is sent, and whether it was cut."""
    data = utf8_cut(name, NAME_BYTES)
    text = data.decode() or "log"
    return text, len(name) > NAME_BYTES or len(data) < len(utf8(name))


def sent_key(key: str) -> str | None:
    """The key as it is sent; None for one that the collector would reject: empty or too long."""
    if not key or len(key) > KEY_BYTES:
        return None
    text = sent_text(key)
    return text if len(text.encode()) <= KEY_BYTES else None
