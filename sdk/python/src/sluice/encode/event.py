"""Columns as `Event`s of a request, for collectors that do not know blocks."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from sluice.encode.block import DEFAULT_SEVERITY
from sluice.encode.columns import Columns
from sluice.encode.protobuf import BYTES, FIXED64, VARINT, bytes_field, tag, varint, zigzag
from sluice.encode.shape import BODY, SPAN_ID, STEP, TRACE_ID
from sluice.encode.text import pack

_EVENTS_FIELD = 3
_TIME = 1
_NAME = 2
_SEVERITY = 3
_BODY = 4
_STEP = 5
_METRICS = 6
_ATTRIBUTES = 7
_TRACE_ID = 8
_SPAN_ID = 9

_TIME_TAG = tag(_TIME, FIXED64)
_SEVERITY_TAG = tag(_SEVERITY, VARINT)
_BODY_TAG = tag(_BODY, BYTES)
_STEP_TAG = tag(_STEP, VARINT)
_VALUE_NUMBER_TAG = tag(2, FIXED64)
_VALUE_TEXT_TAG = tag(2, BYTES)
_double = struct.Struct("<d").pack
_fixed64 = struct.Struct("<Q").pack


def encode_events(blocks: Iterable[Columns]) -> bytes:
    """The fields `events` of a request, in the order of their numbers."""
    events: list[tuple[int, bytes]] = []
    for columns in blocks:
        events.extend(zip(columns.offsets, _events(columns)))
    events.sort()
    return b"".join(bytes_field(_EVENTS_FIELD, event) for _, event in events)


def _events(columns: Columns) -> Iterator[bytes]:
    """An event has one encoding: fields in the order of their numbers, nothing written for a default."""
    shape = columns.shape
    parts = shape.parts
    name = bytes_field(_NAME, shape.name)
    # All of a metric's entry but its eight bytes of value; the value is the last of them.
    metric_heads = [
        bytes_field(_METRICS, _key(key) + _VALUE_NUMBER_TAG + bytes(8))[:-8] for key in shape.metric_names
    ]
    attribute_keys = [_key(key) + _VALUE_TEXT_TAG for key in shape.attribute_names]
    width = len(metric_heads)
    bodies = _split(bytes(columns.bodies), columns.body_sizes) if parts & BODY else None
    attributes = _attribute_rows(columns)
    for row in range(columns.rows):
        pieces = [_TIME_TAG, _fixed64(columns.times[row]), name]
        severity = columns.severity_of(row)
        if severity != DEFAULT_SEVERITY:
            pieces += (_SEVERITY_TAG, varint(severity))
        if bodies is not None:
            pieces += (_BODY_TAG, bodies[row])
        if parts & STEP:
            pieces += (_STEP_TAG, varint(zigzag(columns.steps[row])))
        for head, value in zip(metric_heads, columns.metrics[row * width : (row + 1) * width]):
            pieces += (head, _double(value))
        for key, text in zip(attribute_keys, attributes[row] if len(attributes) > 1 else attributes[0]):
            pieces.append(bytes_field(_ATTRIBUTES, key + text))
        if parts & TRACE_ID:
            pieces.append(bytes_field(_TRACE_ID, bytes(columns.trace_ids[row * 16 : row * 16 + 16])))
        if parts & SPAN_ID:
            pieces.append(bytes_field(_SPAN_ID, bytes(columns.span_ids[row * 8 : row * 8 + 8])))
        yield b"".join(pieces)


def _key(key: bytes) -> bytes:
    return bytes_field(1, key)


def _attribute_rows(columns: Columns) -> list[list[bytes]]:
    """The texts of each row with their lengths; a single row if all have the same."""
    if columns.constant is not None:
        return [[pack((text.encode(),)) for text in columns.constant]]
    count = len(columns.shape.attribute_names)
    texts = list(_packed_texts(bytes(columns.attributes)))
    return [texts[at : at + count] for at in range(0, len(texts), count)]


def _packed_texts(data: bytes) -> Iterator[bytes]:
    """Splits packed texts, each with its length in front."""
    at = 0
    while at < len(data):
        start = at
        length = shift = 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += length
        yield data[start:at]


def _split(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    pieces = []
    at = 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return pieces
