"""The bytes of a spool, held to the golden vector that every SDK writes and reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

from sluice.delivery.response import decode_producer
from sluice.spool.format import (
    SegmentPlace,
    StoredRequest,
    acknowledged_frame,
    folder_name,
    frame_seed,
    header_frame,
    parse_folder_name,
    parse_segment_file_name,
    read_segment,
    request_frame,
    segment_file_name,
)

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
VECTOR: dict[str, Any] = json.loads((VECTORS / "spool-segment.json").read_text())
GOLDEN = bytes.fromhex((VECTORS / "spool-segment.hex").read_text())


def place() -> SegmentPlace:
    folder, segment = parse_folder_name(VECTOR["folder"]), parse_segment_file_name(VECTOR["file"])
    assert folder is not None and segment is not None
    return SegmentPlace(folder[0], segment)


PLACE = place()
WHOLE = read_segment(GOLDEN, PLACE)


def encoded() -> bytes:
    seed = frame_seed(PLACE)
    parts: list[bytes] = []
    for frame in VECTOR["frames"]:
        if frame["type"] == "header":
            parts.append(
                header_frame(PLACE, VECTOR["created_unix_ms"], bytes.fromhex(VECTOR["producer_hex"]))
            )
        elif frame["type"] == "acknowledged":
            parts.append(acknowledged_frame(frame["through"], seed))
        else:
            data = bytes.fromhex(frame["hex"])
            parts.extend(
                request_frame(StoredRequest(frame["first"], frame["last"], frame["events"], data), seed)
            )
    return b"".join(parts)


def test_the_golden_vector_of_the_spool_is_what_is_written() -> None:
    assert encoded().hex() == GOLDEN.hex()
    assert frame_seed(PLACE) == VECTOR["checksum_seed"]


def test_the_golden_vector_of_the_spool_is_what_is_read() -> None:
    assert WHOLE.producer == bytes.fromhex(VECTOR["producer_hex"])
    producer = decode_producer(WHOLE.producer)
    assert producer is not None and producer.run_id == "vector"
    expected = [
        StoredRequest(frame["first"], frame["last"], frame["events"], bytes.fromhex(frame["hex"]))
        for frame in VECTOR["frames"]
        if frame["type"] == "request"
    ]
    assert WHOLE.requests == expected
    assert WHOLE.acknowledged == 3
    assert (WHOLE.damaged, WHOLE.tail, WHOLE.sound_bytes) == ([], "none", len(GOLDEN))


def test_a_segment_that_was_cut_at_any_byte_gives_what_was_whole_before_the_cut_and_is_torn() -> None:
    for size in range(len(GOLDEN) + 1):
        content = read_segment(GOLDEN[:size], PLACE)
        assert content.requests == WHOLE.requests[: len(content.requests)]
        assert content.damaged == []
        assert content.tail == ("none" if content.sound_bytes == size else "torn")
        assert content.sound_bytes + content.tail_bytes == size


def test_zeros_behind_the_last_frame_are_a_tail_that_was_never_written() -> None:
    assert read_segment(GOLDEN + bytes(100), PLACE).tail == "torn"
    assert read_segment(GOLDEN + b"rubbish", PLACE).tail == "damaged"


def test_a_flipped_bit_anywhere_costs_the_frame_it_lies_in_and_never_gives_another_request() -> None:
    for bit in range(len(GOLDEN) * 8):
        data = bytearray(GOLDEN)
        data[bit >> 3] ^= 1 << (bit & 7)
        content = read_segment(bytes(data), PLACE)
        assert all(request in WHOLE.requests for request in content.requests), f"bit {bit}"
        assert len(content.requests) >= len(WHOLE.requests) - 1, f"bit {bit}"
        assert content.damaged or content.tail != "none", f"bit {bit} was not noticed"
        assert content.producer in (None, WHOLE.producer)


def test_the_frames_of_another_producer_or_of_another_segment_are_not_sound() -> None:
    other = bytes([PLACE.producer_id[0] ^ 1]) + PLACE.producer_id[1:]
    assert read_segment(GOLDEN, PLACE._replace(producer_id=other)).requests == []
    assert read_segment(GOLDEN, PLACE._replace(segment=PLACE.segment + 1)).requests == []


def test_a_frame_of_an_unknown_type_is_passed_over() -> None:
    seed = frame_seed(PLACE)
    unknown = bytearray(acknowledged_frame(99, seed))
    # What a later version may write: made by turning the type and the checksum of a known one.
    unknown[12] = 77
    unknown[4:8] = crc32(unknown[8:], seed).to_bytes(4, "little")
    content = read_segment(GOLDEN + bytes(unknown) + GOLDEN, PLACE)
    assert len(content.requests) == len(WHOLE.requests) * 2
    assert (content.damaged, content.acknowledged) == ([], 3)


def test_names_of_folders_and_files_are_read_as_they_are_written() -> None:
    plain = folder_name(PLACE.producer_id)
    assert parse_folder_name(plain) == (PLACE.producer_id, None)
    assert parse_folder_name(folder_name(PLACE.producer_id, "h@b@1@2@3")) == (PLACE.producer_id, "h@b@1@2@3")
    for name in ("", "x", ".", f"{plain}.damaged", f"{plain}@", f"{plain}\n"):
        assert parse_folder_name(name) is None, name
    assert parse_segment_file_name(segment_file_name(12)) == 12
    for name in (
        "1.spool",
        "00000000.spool",
        "00000001.spool.damaged",
        "x00000001.spool",
        "00000001.spool\n",
    ):
        assert parse_segment_file_name(name) is None, name
