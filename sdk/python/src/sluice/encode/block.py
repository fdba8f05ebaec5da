"""Columns as `EventBlock`s of a request."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from operator import sub

from sluice._generated.collector_pb2 import EventBlock
from sluice.encode.columns import Columns
from sluice.encode.protobuf import bytes_field, varint_field
from sluice.encode.shape import STEP
from sluice.encode.text import pack

DEFAULT_SEVERITY = 9

_BLOCKS_FIELD = 4
_COUNT = 2
_SEVERITY = 6
_BODY = 7
_METRIC = 9
_ATTRIBUTE = 11
_TRACE_ID = 12
_SPAN_ID = 13

_INT64_RANGE = 2**63


def encode_blocks(blocks: Iterable[Columns]) -> bytes:
    """The fields `blocks` of a request. In a block, fields stand in the order of their numbers, and none is empty."""
    return b"".join(bytes_field(_BLOCKS_FIELD, _encode_block(columns)) for columns in blocks)


def _encode_block(columns: Columns) -> bytes:
    shape = columns.shape
    return b"".join(
        (
            shape.name_field,
            varint_field(_COUNT, columns.rows),
            _field(_SEVERITY, _severities(columns)),
            _field(_BODY, columns.bodies),
            shape.metric_names_field,
            _field(_METRIC, _little_endian(columns.metrics)),
            shape.attribute_names_field,
            _field(_ATTRIBUTE, _attributes(columns)),
            _field(_TRACE_ID, columns.trace_ids),
            _field(_SPAN_ID, columns.span_ids),
            _deltas(columns),
        )
    )


def _field(field: int, data: bytes | bytearray) -> bytes:
    return bytes_field(field, bytes(data)) if data else b""


def _severities(columns: Columns) -> bytes:
    """Nothing if all are 9, one byte if all are the same, else one each."""
    severities = columns.severities
    severity = columns.severity
    if severities is not None:
        if severities.count(severities[0]) < len(severities):
            return bytes(severities)
        severity = severities[0]
    return b"" if severity == DEFAULT_SEVERITY else bytes((severity,))


def _attributes(columns: Columns) -> bytes:
    """Once if all events have the same, also if there is only one event; else of each."""
    if columns.constant is not None:
        return pack([text.encode() for text in columns.constant])
    data = bytes(columns.attributes)
    sizes = columns.attribute_sizes
    # What differed may have been evicted.
    first = data[: sizes[0]]
    return first if data == first * columns.rows else data


def _little_endian(values: array[float]) -> bytes:
    if sys.byteorder == "little":
        return values.tobytes()
    values = values[:]
    values.byteswap()
    return values.tobytes()


def _deltas(columns: Columns) -> bytes:
    """The fields from 14 on. Packed by the Protobuf runtime, whose loops are in C."""
    return EventBlock(
        sequence_delta=_differences(columns.offsets),
        time_delta=_differences(columns.times),
        step_delta=_differences(columns.steps) if columns.shape.parts & STEP else (),
    ).SerializeToString()


def _differences(values: array[int]) -> list[int]:
    """The first value, and of every other one its difference to the one before, modulo 2^64."""
    numbers = values.tolist()
    if max(numbers) - min(numbers) < _INT64_RANGE:
        return [numbers[0], *map(sub, numbers[1:], numbers)]
    differences = [numbers[0]]
    for before, number in zip(numbers, numbers[1:]):
        difference = (number - before + _INT64_RANGE) % (2 * _INT64_RANGE) - _INT64_RANGE
        differences.append(difference)
    return differences
