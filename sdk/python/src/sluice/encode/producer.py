"""What is constant for one logger, as every call begins with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from sluice.encode.protobuf import bytes_field, fixed64_field, varint_field
from sluice.encode.text import utf8_cut
from sluice.limits import PRODUCER_STRING_BYTES


class ProducerFacts(NamedTuple):
    """See `Producer` in the contract."""

    id: bytes
    project: str
    run: str
    job: str
    host: str
    pid: int
    rank: int
    local_rank: Optional[int]  # noqa: UP045 (evaluated by NamedTuple on Python 3.9)
    world_size: Optional[int]  # noqa: UP045
    attempt: int
    sdk_name: str
    sdk_version: str
    labels: Mapping[str, str]
    start_ns: int


def encode_producer(facts: ProducerFacts) -> bytes:
    """The field `producer` of a LogRequest, to be put in front of a call's first request."""
    fields = [bytes_field(1, facts.id)]

    def text(field: int, value: str) -> None:
        if value:
            fields.append(_text_field(field, value))

    def number(field: int, value: int | None) -> None:
        if value is not None:
            fields.append(varint_field(field, value))

    text(2, facts.project)
    text(3, facts.run)
    text(4, facts.job)
    text(5, facts.host)
    number(6, facts.pid)
    number(7, facts.rank or None)
    number(8, facts.local_rank)
    number(9, facts.world_size)
    number(10, facts.attempt or None)
    text(11, facts.sdk_name)
    text(12, facts.sdk_version)
    for key, value in facts.labels.items():
        fields.append(bytes_field(13, _text_field(1, key) + _text_field(2, value)))
    fields.append(fixed64_field(14, facts.start_ns))
    return bytes_field(1, b"".join(fields))


def _text_field(field: int, value: str) -> bytes:
    return bytes_field(field, utf8_cut(value, PRODUCER_STRING_BYTES))
