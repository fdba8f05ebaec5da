"""The bytes of a spool; sdk/SPOOL.md is the description that all SDKs follow. Pure functions.

1. A frame is sound if its marker stands and its checksum holds; nothing else in a file is ever believed.
2. The checksum starts from the producer and the segment's number, so that a frame in a wrong file is not sound.
3. Every frame begins with a marker, so that sound frames behind damage are found again.
"""

from __future__ import annotations

import re
import struct
import uuid
from typing import Literal, NamedTuple
from zlib import crc32

HEADER = 1
REQUEST = 2
ACKNOWLEDGED = 3

#: Marker, checksum, length, type.
FRAME_HEAD_BYTES = 13

_MARKER = b"SPLF"
_MAGIC = b"SLUSPL01"
#: Length and type.
_LENGTH_TYPE = struct.Struct("<IB")
#: Producer id, segment number, creation time in Unix milliseconds.
_FILE_HEAD = struct.Struct("<8s16sIQ")
#: First and last sequence and the number of events, in front of a request's own bytes.
_REQUEST_HEAD = struct.Struct("<QQI")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

#: The largest number that every SDK holds exactly.
_SEQUENCE_MAX = 2**53 - 1

_SEGMENT_NAME = re.compile(r"([0-9]{8})\.spool")
_FOLDER_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:@(.+))?")

Tail = Literal["none", "torn", "damaged"]


class SegmentPlace(NamedTuple):
    """Which file: frames of another one are not sound in it."""

    #: 16 bytes.
    producer_id: bytes
    #: From 1, without holes as long as nothing is lost.
    segment: int


class StoredRequest(NamedTuple):
    """A request as a spool holds it."""

    first: int
    last: int
    #: Events in it; the other numbers are losses.
    events: int
    #: The encoded `LogRequest`, without producer.
    data: bytes


class Stretch(NamedTuple):
    """Bytes of a file that are not sound."""

    offset: int
    size: int


class SegmentContent(NamedTuple):
    """Everything sound in a file, and what else is there."""

    #: The producer field of a `LogRequest`, if a header is sound.
    producer: bytes | None
    requests: list[StoredRequest]
    #: The largest number that a frame says is acknowledged; 0 if none does.
    acknowledged: int
    #: Stretches that are not sound, with sound frames behind them.
    damaged: list[Stretch]
    #: Where the last sound frame ends.
    sound_bytes: int
    #: Bytes behind it.
    tail_bytes: int
    #: What they are: the beginning of a frame whose write never ended, or of one that is not sound any more.
    tail: Tail


def segment_file_name(segment: int) -> str:
    """`00000001.spool`"""
    return f"{segment:08}.spool"


def parse_segment_file_name(name: str) -> int | None:
    """The segment's number; None for any other file."""
    match = _SEGMENT_NAME.fullmatch(name)
    return None if match is None or int(match[1]) == 0 else int(match[1])


def folder_name(producer_id: bytes, owner: str | None = None) -> str:
    """The name of a producer's folder, which tells whose it is; nobody's without an owner."""
    text = str(uuid.UUID(bytes=producer_id))
    return text if owner is None else f"{text}@{owner}"


def parse_folder_name(name: str) -> tuple[bytes, str | None] | None:
    """The producer's id and the owner; None for what is no producer's folder."""
    match = _FOLDER_NAME.fullmatch(name)
    return None if match is None else (uuid.UUID(match[1]).bytes, match[2])


def frame_seed(place: SegmentPlace) -> int:
    """What a segment's checksums start from."""
    return crc32(_U32.pack(place.segment), crc32(place.producer_id))


def header_frame(place: SegmentPlace, created_ms: int, producer: bytes) -> bytes:
    """The first frame of a segment."""
    head = _FILE_HEAD.pack(_MAGIC, place.producer_id, place.segment, created_ms)
    return _frame(HEADER, frame_seed(place), head + producer)


def request_frame(request: StoredRequest, seed: int) -> tuple[bytes, bytes]:
    """A request's frame in two parts, so that its bytes are not copied."""
    head = _REQUEST_HEAD.pack(request.first, request.last, request.events)
    return _frame(REQUEST, seed, head, request.data), request.data


def acknowledged_frame(through: int, seed: int) -> bytes:
    """Says that everything up to a number is acknowledged."""
    return _frame(ACKNOWLEDGED, seed, _U64.pack(through))


def _frame(kind: int, seed: int, payload: bytes, rest: bytes = b"") -> bytes:
    """A frame up to `rest`, which belongs to its payload."""
    covered = _LENGTH_TYPE.pack(len(payload) + len(rest), kind) + payload
    return _MARKER + _U32.pack(crc32(rest, crc32(covered, seed))) + covered


def read_segment(data: bytes, place: SegmentPlace) -> SegmentContent:
    """Everything sound in a segment's bytes, whatever else is in them."""
    seed = frame_seed(place)
    view = memoryview(data)
    requests: list[StoredRequest] = []
    damaged: list[Stretch] = []
    producer: bytes | None = None
    acknowledged = sound_bytes = at = 0
    while 0 <= at < len(data):
        end = _frame_end(data, view, at, seed)
        payload = None if end is None else view[at + FRAME_HEAD_BYTES : end]
        kind = data[at + 12] if end is not None else 0
        request = _read_request(payload) if payload is not None and kind == REQUEST else None
        if end is None or payload is None or (kind == REQUEST and request is None):
            at = data.find(_MARKER, at + 1)
            continue
        if at > sound_bytes:
            damaged.append(Stretch(sound_bytes, at - sound_bytes))
        if request is not None:
            requests.append(request)
        elif kind == HEADER:
            producer = _read_header(payload, place) if producer is None else producer
        elif kind == ACKNOWLEDGED and len(payload) >= 8:
            acknowledged = max(acknowledged, _U64.unpack_from(payload)[0])
        # A frame of a type that is not known here belongs to a later version, and is passed over.
        at = sound_bytes = end
    tail = _tail_of(data, sound_bytes)
    return SegmentContent(
        producer, requests, acknowledged, damaged, sound_bytes, len(data) - sound_bytes, tail
    )


def _tail_of(data: bytes, at: int) -> Tail:
    """A killed process leaves the beginning of a frame, a power loss perhaps zeros; anything else was a frame once."""
    left = len(data) - at
    if left == 0:
        return "none"
    is_begun = data[at : at + len(_MARKER)] == _MARKER[:left]
    is_short = left < FRAME_HEAD_BYTES or left < FRAME_HEAD_BYTES + _U32.unpack_from(data, at + 8)[0]
    if is_begun and is_short:
        return "torn"
    return "damaged" if data[at:].strip(b"\0") else "torn"


def _frame_end(data: bytes, view: memoryview, at: int, seed: int) -> int | None:
    """Where the frame ends that begins here; None if none does."""
    if at + FRAME_HEAD_BYTES > len(data) or data[at : at + 4] != _MARKER:
        return None
    end = at + FRAME_HEAD_BYTES + int(_U32.unpack_from(data, at + 8)[0])
    if end > len(data):
        return None
    return end if crc32(view[at + 8 : end], seed) == _U32.unpack_from(data, at + 4)[0] else None


def _read_request(payload: memoryview) -> StoredRequest | None:
    if len(payload) < _REQUEST_HEAD.size:
        return None
    first, last, events = _REQUEST_HEAD.unpack_from(payload)
    if first < 1 or last < first or last > _SEQUENCE_MAX or events > last - first + 1:
        return None
    return StoredRequest(first, last, events, bytes(payload[_REQUEST_HEAD.size :]))


def _read_header(payload: memoryview, place: SegmentPlace) -> bytes | None:
    if len(payload) < _FILE_HEAD.size:
        return None
    magic, producer_id, _, _ = _FILE_HEAD.unpack_from(payload)
    if magic != _MAGIC or producer_id != place.producer_id:
        return None
    return bytes(payload[_FILE_HEAD.size :])
