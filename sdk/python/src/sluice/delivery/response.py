"""The collector's answer, decoded. One a call, a call a second: the library may take its time."""

from __future__ import annotations

from sluice._generated import collector_pb2 as pb

from .transport import Acknowledgment


def decode_response(data: bytes) -> Acknowledgment:
    """Raises `google.protobuf.message.DecodeError` for bytes that are none."""
    response = pb.LogResponse.FromString(data)
    rejection = None
    if response.rejections:
        first = response.rejections[0]
        reason = first.reason
        # A later collector may have reasons that this SDK has no name for.
        known = pb.RejectionReason.values()
        name = pb.RejectionReason.Name(reason) if reason in known else f"reason {int(reason)}"
        rejection = f"event {first.sequence}: {name}, {first.detail}"
    return Acknowledgment(
        durable_sequence=response.durable_sequence,
        duplicates=response.duplicates,
        rejected=len(response.rejections),
        rejection=rejection,
        call_age_ms=response.call_age_ms,
    )


def decode_producer(request: bytes) -> pb.Producer | None:
    """The producer of an encoded request; None if there is none or it cannot be read."""
    try:
        decoded = pb.LogRequest.FromString(request)
    except Exception:  # protobuf's runtimes raise different ones
        return None
    return decoded.producer if decoded.HasField("producer") else None
