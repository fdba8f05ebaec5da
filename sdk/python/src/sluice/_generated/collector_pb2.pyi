from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LossReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOSS_REASON_UNSPECIFIED: _ClassVar[LossReason]
    LOSS_REASON_BUFFER_FULL: _ClassVar[LossReason]
    LOSS_REASON_TOO_LARGE: _ClassVar[LossReason]
    LOSS_REASON_CLOSED: _ClassVar[LossReason]
    LOSS_REASON_ENCODING: _ClassVar[LossReason]
    LOSS_REASON_REFUSED: _ClassVar[LossReason]
    LOSS_REASON_SPOOL_DAMAGED: _ClassVar[LossReason]

class RejectionReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REJECTION_REASON_UNSPECIFIED: _ClassVar[RejectionReason]
    REJECTION_REASON_EVENT_TOO_LARGE: _ClassVar[RejectionReason]
    REJECTION_REASON_NAME_TOO_LONG: _ClassVar[RejectionReason]
    REJECTION_REASON_KEY_TOO_LONG: _ClassVar[RejectionReason]
    REJECTION_REASON_KEY_EMPTY: _ClassVar[RejectionReason]
    REJECTION_REASON_TOO_MANY_KEYS: _ClassVar[RejectionReason]
    REJECTION_REASON_INVALID_UTF8: _ClassVar[RejectionReason]
    REJECTION_REASON_TIME_OUT_OF_RANGE: _ClassVar[RejectionReason]
    REJECTION_REASON_SEVERITY_OUT_OF_RANGE: _ClassVar[RejectionReason]
    REJECTION_REASON_TRACE_ID_LENGTH: _ClassVar[RejectionReason]
    REJECTION_REASON_SPAN_ID_LENGTH: _ClassVar[RejectionReason]
LOSS_REASON_UNSPECIFIED: LossReason
LOSS_REASON_BUFFER_FULL: LossReason
LOSS_REASON_TOO_LARGE: LossReason
LOSS_REASON_CLOSED: LossReason
LOSS_REASON_ENCODING: LossReason
LOSS_REASON_REFUSED: LossReason
LOSS_REASON_SPOOL_DAMAGED: LossReason
REJECTION_REASON_UNSPECIFIED: RejectionReason
REJECTION_REASON_EVENT_TOO_LARGE: RejectionReason
REJECTION_REASON_NAME_TOO_LONG: RejectionReason
REJECTION_REASON_KEY_TOO_LONG: RejectionReason
REJECTION_REASON_KEY_EMPTY: RejectionReason
REJECTION_REASON_TOO_MANY_KEYS: RejectionReason
REJECTION_REASON_INVALID_UTF8: RejectionReason
REJECTION_REASON_TIME_OUT_OF_RANGE: RejectionReason
REJECTION_REASON_SEVERITY_OUT_OF_RANGE: RejectionReason
REJECTION_REASON_TRACE_ID_LENGTH: RejectionReason
REJECTION_REASON_SPAN_ID_LENGTH: RejectionReason

class Producer(_message.Message):
    __slots__ = ("id", "project", "run_id", "job", "host", "pid", "rank", "local_rank", "world_size", "attempt", "sdk_name", "sdk_version", "labels", "start_time_unix_nano")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    LOCAL_RANK_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SDK_NAME_FIELD_NUMBER: _ClassVar[int]
    SDK_VERSION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    project: str
    run_id: str
    job: str
    host: str
    pid: int
    rank: int
    local_rank: int
    world_size: int
    attempt: int
    sdk_name: str
    sdk_version: str
    labels: _containers.ScalarMap[str, str]
    start_time_unix_nano: int
    def __init__(self, id: _Optional[bytes] = ..., project: _Optional[str] = ..., run_id: _Optional[str] = ..., job: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., rank: _Optional[int] = ..., local_rank: _Optional[int] = ..., world_size: _Optional[int] = ..., attempt: _Optional[int] = ..., sdk_name: _Optional[str] = ..., sdk_version: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., start_time_unix_nano: _Optional[int] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ("producer", "first_sequence", "events", "blocks", "losses", "flush")
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    producer: Producer
    first_sequence: int
    events: _containers.RepeatedCompositeFieldContainer[Event]
    blocks: _containers.RepeatedCompositeFieldContainer[EventBlock]
    losses: _containers.RepeatedCompositeFieldContainer[Loss]
    flush: bool
    def __init__(self, producer: _Optional[_Union[Producer, _Mapping]] = ..., first_sequence: _Optional[int] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., blocks: _Optional[_Iterable[_Union[EventBlock, _Mapping]]] = ..., losses: _Optional[_Iterable[_Union[Loss, _Mapping]]] = ..., flush: _Optional[bool] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("time_unix_nano", "name", "severity_number", "body", "step", "metrics", "attributes", "trace_id", "span_id")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    time_unix_nano: int
    name: str
    severity_number: int
    body: str
    step: int
    metrics: _containers.ScalarMap[str, float]
    attributes: _containers.ScalarMap[str, str]
    trace_id: bytes
    span_id: bytes
    def __init__(self, time_unix_nano: _Optional[int] = ..., name: _Optional[str] = ..., severity_number: _Optional[int] = ..., body: _Optional[str] = ..., step: _Optional[int] = ..., metrics: _Optional[_Mapping[str, float]] = ..., attributes: _Optional[_Mapping[str, str]] = ..., trace_id: _Optional[bytes] = ..., span_id: _Optional[bytes] = ...) -> None: ...

class EventBlock(_message.Message):
    __slots__ = ("name", "count", "severity_number", "body", "metric_name", "metric", "attribute_name", "attribute", "trace_id", "span_id", "sequence_delta", "time_delta", "step_delta")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_DELTA_FIELD_NUMBER: _ClassVar[int]
    TIME_DELTA_FIELD_NUMBER: _ClassVar[int]
    STEP_DELTA_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    severity_number: bytes
    body: bytes
    metric_name: _containers.RepeatedScalarFieldContainer[str]
    metric: _containers.RepeatedScalarFieldContainer[float]
    attribute_name: _containers.RepeatedScalarFieldContainer[str]
    attribute: bytes
    trace_id: bytes
    span_id: bytes
    sequence_delta: _containers.RepeatedScalarFieldContainer[int]
    time_delta: _containers.RepeatedScalarFieldContainer[int]
    step_delta: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., severity_number: _Optional[bytes] = ..., body: _Optional[bytes] = ..., metric_name: _Optional[_Iterable[str]] = ..., metric: _Optional[_Iterable[float]] = ..., attribute_name: _Optional[_Iterable[str]] = ..., attribute: _Optional[bytes] = ..., trace_id: _Optional[bytes] = ..., span_id: _Optional[bytes] = ..., sequence_delta: _Optional[_Iterable[int]] = ..., time_delta: _Optional[_Iterable[int]] = ..., step_delta: _Optional[_Iterable[int]] = ...) -> None: ...

class Loss(_message.Message):
    __slots__ = ("first_sequence", "count", "reason", "detail", "time_unix_nano")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    count: int
    reason: LossReason
    detail: str
    time_unix_nano: int
    def __init__(self, first_sequence: _Optional[int] = ..., count: _Optional[int] = ..., reason: _Optional[_Union[LossReason, str]] = ..., detail: _Optional[str] = ..., time_unix_nano: _Optional[int] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("sequence", "reason", "detail")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    reason: RejectionReason
    detail: str
    def __init__(self, sequence: _Optional[int] = ..., reason: _Optional[_Union[RejectionReason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class LogResponse(_message.Message):
    __slots__ = ("durable_sequence", "accepted", "duplicates", "rejections", "call_age_ms")
    DURABLE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    CALL_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    durable_sequence: int
    accepted: int
    duplicates: int
    rejections: _containers.RepeatedCompositeFieldContainer[Rejection]
    call_age_ms: int
    def __init__(self, durable_sequence: _Optional[int] = ..., accepted: _Optional[int] = ..., duplicates: _Optional[int] = ..., rejections: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ..., call_age_ms: _Optional[int] = ...) -> None: ...

class TailRequest(_message.Message):
    __slots__ = ("project", "run_id", "name", "min_severity_number")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MIN_SEVERITY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    project: str
    run_id: str
    name: str
    min_severity_number: int
    def __init__(self, project: _Optional[str] = ..., run_id: _Optional[str] = ..., name: _Optional[str] = ..., min_severity_number: _Optional[int] = ...) -> None: ...

class TailResponse(_message.Message):
    __slots__ = ("producer", "sequence", "event", "skipped")
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    producer: Producer
    sequence: int
    event: Event
    skipped: int
    def __init__(self, producer: _Optional[_Union[Producer, _Mapping]] = ..., sequence: _Optional[int] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., skipped: _Optional[int] = ...) -> None: ...
