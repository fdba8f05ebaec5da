"""The golden vectors of `sdk/vectors`: the same bytes as every other SDK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice._generated import collector_pb2 as pb
from sluice.buffer.draft import Draft
from sluice.encode.block import encode_blocks
from sluice.encode.event import encode_events
from sluice.encode.event_reader import EventReader
from sluice.encode.head import DEFAULT_SEVERITY
from sluice.snapshot import snapshot

VECTORS = Path(__file__).parents[2] / "vectors"
EVENTS: list[dict[str, Any]] = json.loads((VECTORS / "events.json").read_text(encoding="utf-8"))
BLOCKS: list[dict[str, Any]] = json.loads((VECTORS / "blocks.json").read_text(encoding="utf-8"))


def titled(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=vector["title"]) for vector in vectors]


def fields_of(vector: dict[str, Any]) -> dict[str, object]:
    """What `event` is given as keywords. `time` is read as the vectors have it, at nanoseconds of any age."""
    fields: dict[str, object] = {key: plain_value(value) for key, value in vector.get("fields", {}).items()}
    for name in ("step", "severity", "body", "trace_id", "span_id"):
        if name in vector:
            fields[name] = plain_value(vector[name])
    fields["time"] = int(vector["time"])
    return fields


def plain_value(value: object) -> object:
    """What JSON has no word for."""
    if isinstance(value, dict) and "$int" in value:
        return int(value["$int"])
    if isinstance(value, dict) and "$float" in value:
        return float(value["$float"])
    return value


def add(draft: Draft, reader: EventReader, logged: list[dict[str, Any]]) -> None:
    """Logs some events together, as they are gathered."""
    kept = [snapshot(fields_of(vector), is_literal=False) for vector in logged]
    assert sum(each.field_errors for each in kept) == 0
    names = [vector["name"] for vector in logged]
    read = reader.read([0] * len(logged), names, [each.fields for each in kept])
    assert read.field_errors == 0, read.problem
    draft.add(read.columns, len(logged))


@pytest.mark.parametrize("vector", titled(EVENTS))
def test_the_golden_vector_holds(vector: dict[str, Any]) -> None:
    draft = Draft(1, 0.0)
    add(draft, EventReader(), [vector])
    (request,) = draft.freeze(encode_events)
    (event,) = pb.LogRequest.FromString(request.data).events
    event_bytes = bytes.fromhex(vector["hex"])
    # first_sequence takes two bytes; tag and length of the event stand in front of it.
    assert request.data.endswith(event_bytes)
    assert len(request.data) - len(event_bytes) == 3 + len(varint(len(event_bytes)))
    assert event.time_unix_nano == int(vector["time"])
    assert event.name == (vector["name"] or "log")
    assert event.body == vector.get("body", "")


def varint(value: int) -> bytes:
    from sluice.encode.protobuf import varint as encode

    return encode(value)


def fill(draft: Draft, log: list[dict[str, Any]], together: bool) -> None:
    reader = EventReader()
    waiting: list[dict[str, Any]] = []
    for one in log:
        if "loss" not in one:
            waiting.append(one)
            if together:
                continue
        if waiting:
            add(draft, reader, waiting)
            waiting = []
        if "loss" in one:
            for _ in range(one["count"]):
                draft.lose(one["loss"], 1, int(one["time"]))
    if waiting:
        add(draft, reader, waiting)


@pytest.mark.parametrize("together", [True, False], ids=["gathered together", "gathered one by one"])
@pytest.mark.parametrize("vector", titled(BLOCKS))
def test_the_golden_vector_of_blocks_holds(vector: dict[str, Any], together: bool) -> None:
    draft = Draft(vector["first_sequence"], 0.0)
    fill(draft, vector["log"], together)
    (request,) = draft.freeze(encode_blocks)
    assert request.data.hex() == vector["hex"]


@pytest.mark.parametrize("vector", titled(BLOCKS))
def test_rows_say_the_same_as_blocks(vector: dict[str, Any]) -> None:
    draft = Draft(vector["first_sequence"], 0.0)
    fill(draft, vector["log"], together=True)
    (rows,) = draft.freeze(encode_events)
    decoded = pb.LogRequest.FromString(rows.data)
    expected = [one for one in vector["log"] if "loss" not in one]
    assert len(decoded.events) == len(expected)
    for event, one in zip(decoded.events, expected):
        assert event.time_unix_nano == int(one["time"])
        assert event.name == (one["name"] or "log")
        assert event.body == one.get("body", "")
        assert event.severity_number == (
            0 if one.get("severity", DEFAULT_SEVERITY) == DEFAULT_SEVERITY else one["severity"]
        )
        assert event.HasField("step") == ("step" in one)
        if "step" in one:
            assert event.step == plain_value(one["step"])
    assert len(decoded.losses) == len(pb.LogRequest.FromString(bytes.fromhex(vector["hex"])).losses)
