"""The rules of the contract for sequences, in memory: what a collector stores, acknowledges and refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Union

from sluice._generated import collector_pb2 as pb

INVALID_ARGUMENT = 3
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
UNAVAILABLE = 14

#: What became of one sequence number: the event, or the name of the reason for which it was lost.
Fate = Union["pb.Event", str]


class RefusedCall(Exception):
    def __init__(self, code: int, message: str, metadata: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.metadata = metadata or {}


def overloaded(delay_ms: int | None = None) -> RefusedCall:
    """What a collector without room answers."""
    metadata = {} if delay_ms is None else {"sluice-retry-delay-ms": str(delay_ms)}
    return RefusedCall(RESOURCE_EXHAUSTED, "overloaded", metadata)


@dataclass
class StoredProducer:
    producer: pb.Producer
    durable: int = 0
    fates: dict[int, Fate] = field(default_factory=dict)

    @property
    def events(self) -> list[pb.Event]:
        """In the order of their numbers."""
        # A copy, which is made in one step, because a call may be storing more.
        return [fate for _, fate in sorted(self.fates.copy().items()) if not isinstance(fate, str)]

    @property
    def losses(self) -> dict[str, int]:
        """How many numbers were lost for each reason, such as `LOSS_REASON_BUFFER_FULL`."""
        counts: dict[str, int] = {}
        for fate in self.fates.copy().values():
            if isinstance(fate, str):
                counts[fate] = counts.get(fate, 0) + 1
        return counts


class FlushMark(NamedTuple):
    #: From 1.
    call: int
    #: What the producer's durable sequence was then.
    durable: int
    #: Whether it came with the producer alone.
    is_alone: bool


class CollectorModel:
    """Safe to use by several threads; a producer's calls one after the other."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.producers: dict[str, StoredProducer] = {}
        self.calls = 0
        self.messages = 0
        #: What it asks for with every answer; 0: nothing.
        self.call_age_ms = 0
        #: Each wish to have what a call brought committed soon.
        self.marks: list[FlushMark] = []
        #: Looked at before each message; may raise a RefusedCall.
        self.before_message: Callable[[bytes], None] | None = None

    def open_call(self) -> CallModel:
        with self.lock:
            self.calls += 1
            return CallModel(self, self.calls)

    def only(self) -> StoredProducer:
        """The only producer that has stored something; an empty one if none has."""
        with self.lock:
            found = list(self.producers.values())
        if len(found) > 1:
            raise AssertionError(f"{len(found)} producers: {sorted(self.producers)}")
        return found[0] if found else StoredProducer(pb.Producer())

    @property
    def events(self) -> list[pb.Event]:
        """All events of the only producer, in order."""
        return self.only().events


class CallModel:
    def __init__(self, collector: CollectorModel, number: int) -> None:
        #: Whether there is one message alone, of LogOnce.
        self.is_once = False
        self._collector = collector
        self._number = number
        self._producer: pb.Producer | None = None
        self._accepted = 0
        self._duplicates = 0

    def take(self, data: bytes) -> None:
        """Stores a message, or raises a RefusedCall."""
        with self._collector.lock:
            self._take(data)

    def response(self) -> pb.LogResponse:
        with self._collector.lock:
            stored = self._collector.producers.get(self._id) if self._producer is not None else None
            return pb.LogResponse(
                durable_sequence=stored.durable if stored is not None else 0,
                accepted=self._accepted,
                duplicates=self._duplicates,
                call_age_ms=self._collector.call_age_ms,
            )

    @property
    def _id(self) -> str:
        assert self._producer is not None
        return self._producer.id.hex()

    def _take(self, data: bytes) -> None:
        collector = self._collector
        collector.messages += 1
        if collector.before_message is not None:
            collector.before_message(data)
        try:
            request = pb.LogRequest.FromString(data)
        except Exception as error:
            raise RefusedCall(INVALID_ARGUMENT, f"not a LogRequest: {error}") from None
        has_producer = request.HasField("producer")
        if self._producer is None:
            if len(request.producer.id) != 16:
                raise RefusedCall(INVALID_ARGUMENT, "the first message has no producer")
            self._producer = request.producer
        elif has_producer:
            raise RefusedCall(INVALID_ARGUMENT, "a later message has a producer")
        known = collector.producers.get(self._id)
        rest = pb.LogRequest()
        rest.CopyFrom(request)
        rest.ClearField("flush")
        rest.ClearField("producer")
        if request.flush:
            # On a stream the SDK marks in a message of its own, which changes no frozen request.
            if rest.ByteSize() > 0 and not self.is_once:
                raise RefusedCall(INVALID_ARGUMENT, "a wish to be committed with something else")
            durable = known.durable if known is not None else 0
            collector.marks.append(FlushMark(self._number, durable, has_producer))
            if rest.ByteSize() == 0:
                return
        fates = list(fates_of(request))
        first = request.first_sequence
        last = first + len(fates) - 1
        if known is not None and last <= known.durable:
            self._duplicates += len(fates)
            return
        if known is not None and first != known.durable + 1:
            expected = known.durable + 1
            metadata = {"sluice-expected-sequence": str(expected)}
            raise RefusedCall(FAILED_PRECONDITION, f"expected {expected}, got {first}", metadata)
        if known is None:
            known = collector.producers[self._id] = StoredProducer(self._producer)
        known.fates.update(zip(range(first, last + 1), fates))
        known.durable = last
        self._accepted += len(fates)


def fates_of(request: pb.LogRequest) -> list[Fate]:
    """One fate for each number of the request's range; raises for a request that breaks the contract."""
    first = request.first_sequence
    fates: dict[int, Fate] = {}

    def give(number: int, fate: Fate) -> None:
        expect(number not in fates, f"two fates for number {number}")
        fates[number] = fate

    expect(first >= 1, "no first sequence")
    expect(len(request.losses) <= 10_000, f"{len(request.losses)} losses")
    expect(len(request.blocks) <= 10_000, f"{len(request.blocks)} blocks")
    expect(not (request.blocks and request.events), "events and blocks")
    end = first
    for loss in request.losses:
        expect(loss.first_sequence >= end and loss.count >= 1, "losses overlap or are empty")
        end = loss.first_sequence + loss.count
        for number in range(loss.first_sequence, end):
            give(number, pb.LossReason.Name(loss.reason))
    for block in request.blocks:
        for offset, event in unblock(block):
            give(first + offset, event)
    number = first
    for event in request.events:
        while number in fates:
            number += 1
        give(number, event)
    count = len(fates)
    expect(count > 0, "an empty range")
    expect(all(first + index in fates for index in range(count)), f"a hole in {first} to {first + count - 1}")
    return [fates[first + index] for index in range(count)]


def unblock(block: pb.EventBlock) -> Iterator[tuple[int, pb.Event]]:
    """The events of a block as if each had been sent on its own, and the offsets of their numbers."""
    count = block.count
    metric_names, attribute_names = list(block.metric_name), list(block.attribute_name)
    expect(count >= 1, "a count of zero")
    expect(
        len(block.sequence_delta) == count and len(block.time_delta) == count, "an offset and a time for each"
    )
    expect(len(block.step_delta) in (0, count), "a step for each event, or none")
    expect(len(set(metric_names)) == len(metric_names), "a metric name twice")
    expect(len(set(attribute_names)) == len(attribute_names), "an attribute name twice")
    expect(len(block.metric) == count * len(metric_names), "a row of metrics for each event")
    severities = block.severity_number or b"\x09"
    expect(len(severities) in (1, count), "a severity for each event, or one")
    bodies = list(texts(block.body))
    expect(len(bodies) in (0, count), "a body for each event, or none")
    attributes = list(texts(block.attribute))
    is_constant = len(attributes) == len(attribute_names)
    expect(
        is_constant or len(attributes) == count * len(attribute_names), "attributes for each event, or once"
    )
    expect(len(block.trace_id) in (0, 16 * count), "a trace id for each event, or none")
    expect(len(block.span_id) in (0, 8 * count), "a span id for each event, or none")
    offset = time = step = 0
    for row in range(count):
        expect(row == 0 or block.sequence_delta[row] >= 1, "offsets that do not ascend")
        offset += block.sequence_delta[row]
        time = (time + block.time_delta[row]) % 2**64
        event = pb.Event(time_unix_nano=time, name=block.name)
        severity = severities[0 if len(severities) == 1 else row]
        if severity != 9:
            event.severity_number = severity
        if bodies:
            event.body = bodies[row]
        if block.step_delta:
            step = (step + block.step_delta[row] + 2**63) % 2**64 - 2**63
            event.step = step
        own = len(metric_names) * row
        for index, name in enumerate(metric_names):
            event.metrics[name] = block.metric[own + index]
        own = 0 if is_constant else len(attribute_names) * row
        for index, name in enumerate(attribute_names):
            event.attributes[name] = attributes[own + index]
        event.trace_id = block.trace_id[16 * row : 16 * row + 16]
        event.span_id = block.span_id[8 * row : 8 * row + 8]
        yield offset, event


def texts(data: bytes) -> Iterator[str]:
    """Strings with their lengths in front, one behind the other."""
    at = 0
    while at < len(data):
        length = shift = 0
        while True:
            expect(at < len(data), "a length that is cut off")
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        expect(at + length <= len(data), "a text that is cut off")
        yield data[at : at + length].decode()
        at += length


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise RefusedCall(INVALID_ARGUMENT, f"breaks the contract: {what}")
