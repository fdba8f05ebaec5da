from __future__ import annotations

import os
from typing import NamedTuple

from sluice.limits import SPOOL_READ_BYTES

from .files import SpoolFiles
from .format import (
    SegmentContent,
    SegmentPlace,
    Stretch,
    parse_segment_file_name,
    read_segment,
    segment_file_name,
)


class OrphanSegment(NamedTuple):
    """One file of a producer whose process is gone."""

    number: int
    path: str
    #: The range of its requests; 0 if there are none.
    first: int
    last: int
    sound_bytes: int
    is_damaged: bool
    #: Whether it ends in a write that never ended.
    is_torn: bool


class Orphan(NamedTuple):
    """What a producer's folder holds."""

    path: str
    producer_id: bytes
    #: The producer field of a request; None if no file's header is sound.
    producer: bytes | None
    segments: list[OrphanSegment]
    #: Up to here it was acknowledged before; 0 if that is not known.
    acknowledged: int
    #: The next number to deliver, if it is known though no sound request begins with it; else 0.
    next: int
    #: The last number in it; 0 if there is no request.
    last: int
    #: Events that are not acknowledged.
    events: int
    bytes: int
    #: One sentence for each stretch that is not sound.
    damages: list[str]
    #: Bytes of writes that never ended.
    torn_bytes: int


def inspect_orphan(files: SpoolFiles, path: str, producer_id: bytes) -> Orphan:
    """Reads a whole folder, one file at a time. Raises OSError if a file cannot be read."""
    segments: list[OrphanSegment] = []
    events_of: list[int] = []
    damages: list[str] = []
    producer: bytes | None = None
    acknowledged = torn_bytes = total_bytes = 0
    for number in _segment_numbers(files, path):
        file = os.path.join(path, segment_file_name(number))
        size = files.size(file)
        total_bytes += size
        content = _content(files, file, SegmentPlace(producer_id, number), size)
        producer = content.producer if producer is None else producer
        acknowledged = max(acknowledged, content.acknowledged)
        found = _describe(segment_file_name(number), content)
        damages.extend(found)
        if content.tail == "torn":
            torn_bytes += content.tail_bytes
        events_of.append(sum(request.events for request in content.requests))
        segments.append(
            OrphanSegment(
                number=number,
                path=file,
                first=content.requests[0].first if content.requests else 0,
                last=max((request.last for request in content.requests), default=0),
                sound_bytes=content.sound_bytes,
                is_damaged=bool(found),
                is_torn=content.tail == "torn",
            )
        )
    events = 0
    for segment, of_segment in zip(segments, events_of):
        if segment.first > acknowledged:
            events += of_segment
        elif segment.last > acknowledged:
            content = read_segment(files.read(segment.path), SegmentPlace(producer_id, segment.number))
            events += sum(request.events for request in content.requests if request.last > acknowledged)
    # A producer begins with 1. Without damage, what is missing in front was acknowledged before it was written.
    is_cut_in_front = bool(segments) and segments[0].number == 1 and segments[0].is_damaged
    return Orphan(
        path=path,
        producer_id=producer_id,
        producer=producer,
        segments=segments,
        acknowledged=acknowledged,
        next=acknowledged + 1 if acknowledged > 0 else int(is_cut_in_front),
        last=max((segment.last for segment in segments), default=0),
        events=events,
        bytes=total_bytes,
        damages=damages,
        torn_bytes=torn_bytes,
    )


def _segment_numbers(files: SpoolFiles, path: str) -> list[int]:
    numbers = (parse_segment_file_name(name) for name in files.list(path))
    return sorted(number for number in numbers if number is not None)


def _content(files: SpoolFiles, file: str, place: SegmentPlace, size: int) -> SegmentContent:
    if size > SPOOL_READ_BYTES:
        # No SDK writes such a file.
        return SegmentContent(None, [], 0, [Stretch(0, size)], size, 0, "none")
    return read_segment(files.read(file), place)


def _describe(name: str, content: SegmentContent) -> list[str]:
    stretches = list(content.damaged)
    if content.tail == "damaged":
        stretches.append(Stretch(content.sound_bytes, content.tail_bytes))
    found = [f"{name}: {size} bytes at offset {offset} are damaged" for offset, size in stretches]
    if content.producer is None and content.sound_bytes > 0 and not found:
        found.append(f"{name}: its header is not known here")
    return found
