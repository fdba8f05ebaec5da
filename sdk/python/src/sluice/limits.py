"""Every limit and default of the SDK, in one place. What a user may set is an option of `sluice.init` and
stands in NUMBER_OPTIONS under that name; the unit is at the end of the name."""

from __future__ import annotations

from typing import NamedTuple

KIB = 1024
MIB = 1024 * KIB


class NumberOption(NamedTuple):
    """A number that `sluice.init` takes: the default and what is allowed."""

    default: int
    min: int
    max: int


# What the collector takes (design, section 7). The SDK keeps to it so that nothing is refused.

EVENT_BYTES = 1 * MIB
NAME_BYTES = 256
KEY_BYTES = 256
KEYS_PER_EVENT = 1024
LOSSES_PER_REQUEST = 10_000
#: Project, run, job, host and the like.
PRODUCER_STRING_BYTES = 1024
LABELS_PER_PRODUCER = 64
ATTEMPT_MAX = 65_535
UINT32_MAX = 0xFFFF_FFFF

NUMBER_OPTIONS = {
    # Bytes of events held in memory, unacknowledged ones included.
    "buffer_bytes": NumberOption(64 * MIB, 64 * KIB, 4096 * MIB),
    # A request is sealed at this size …
    "request_bytes": NumberOption(1 * MIB, 1 * KIB, 8 * MIB),
    # … or when its first event is this old, unless the collector asks for another age.
    "request_age_ms": NumberOption(200, 0, 60_000),
    # A call is half-closed for its acknowledgment when its oldest event is this old, with the same exception …
    "call_age_ms": NumberOption(1000, 0, 60_000),
    # … or after this many bytes.
    "call_bytes": NumberOption(4 * MIB, 1 * KIB, 64 * MIB),
    # A call that makes no progress for this long is given up and sent again on a new connection.
    "ack_timeout_ms": NumberOption(30_000, 10, 600_000),
    # Default deadlines.
    "flush_timeout_ms": NumberOption(30_000, 0, 3_600_000),
    "close_timeout_ms": NumberOption(5_000, 0, 3_600_000),
    # How long a process that ends by itself is held up to deliver what is left.
    "exit_timeout_ms": NumberOption(5_000, 0, 60_000),
    # Bytes that a logger's own files in the spool directory may take.
    "spool_bytes": NumberOption(1024 * MIB, 1 * MIB, 1024 * 1024 * MIB),
    # Delays between attempts: full jitter between nothing and a bound that doubles from first to last.
    "backoff_min_ms": NumberOption(100, 1, 60_000),
    "backoff_max_ms": NumberOption(10_000, 1, 600_000),
}

# Not options: the shape of the implementation.

#: What a log call that takes the shortest way may have: so many fields …
FAST_FIELDS = 16
#: … and texts of so many characters. What is larger is measured.
FAST_TEXT_CHARS = 64
#: What an event of the shortest way is taken to cost in memory until it is gathered; twice what a usual one does.
WAITING_EVENT_BYTES = 1024
#: When so many events wait to be gathered, the delivery's thread is woken.
WAKE_EVENTS = 1024
#: Events that are gathered in one go: a slice of the interpreter's time of about a millisecond.
GATHER_EVENTS = 1024
#: However small the buffer, so many events may wait to be gathered.
WAITING_EVENTS_MIN = 256
#: However full the buffer, texts of this share of it may.
WAITING_TEXT_SHARE = 1 / 8
#: A log call may wait for a thread that gathers and does not keep up, before its event is dropped: a job that does
#: nothing but log, on very many threads perhaps, leaves it no turn of the interpreter, and would wait for its own next
#: turn no less. First so long, then twice as long, up to so many times: 31 ms in all.
CATCH_UP_S = 0.001
CATCH_UPS = 5
#: A thread that has not gathered for this long does not count as one that gathers.
STALLED_S = 1.0
#: Nested lists and objects are written up to this depth.
JSON_DEPTH = 100
#: Names and keys of all shapes that are remembered; when full, they are met anew. Ten times what a large program has.
CACHED_SHAPE_KEYS = 16_384
#: Names and keys whose form on the wire is remembered; when full, they are met anew.
CACHED_TEXTS = 2048
#: Kinds of log calls, by name and keys, that are remembered; when full, they are met anew.
CACHED_PLANS = 2048
#: Of each of them, combinations of what its fields are: numbers, texts, nothing.
CACHED_LAYOUTS = 64
#: A buffer that was full takes events again when this share of it is free.
REOPEN_SHARE = 1 / 64
#: A draft is laid out again without its evicted events when they are this share of it.
COMPACTION_SHARE = 1 / 8
#: A request may be larger than it should be by this share, so that what was gathered in one go is seldom divided.
REQUEST_OVERSHOOT_SHARE = 1 / 8
#: Shapes in one request. The collector takes ten times as many, and each costs it a few microseconds.
SHAPES_PER_REQUEST = 1000
#: Numbers in one request, so that an offset fits into its 32 bits however long a full buffer drops.
NUMBERS_PER_REQUEST = 2**31
#: Messages handed to gRPC whose bytes have not left yet: it copies each, so more would be memory outside the
#: buffer's count. Two keep the socket busy.
OUTSTANDING_WRITES = 2
#: A single request that fails this often with RESOURCE_EXHAUSTED and no delay is given up.
EXHAUSTED_ATTEMPTS = 5
#: What a call that is given up gets in addition, so that an answer that has arrived is read.
LATE_GRACE_MS = 100
#: A delay that a collector asks for is believed up to here …
RETRY_DELAY_MAX_MS = 60_000
#: … and the age at which it wants calls to end up to here.
ASKED_CALL_AGE_MAX_MS = 5_000
#: But calls do not end more often than this, unless somebody waits: each holds the interpreter's lock for two
#: milliseconds or so, and ten in a second slowed a training by 1.7 %, one by nothing that could be measured.
LEAST_CALL_AGE_MS = 1_000
#: Meanwhile events are sent at this age at the latest.
ASKED_REQUEST_AGE_MAX_MS = 500
#: From this failure in a row on, it is said that the collector does not answer.
QUIET_ATTEMPTS = 3
#: While someone waits in flush(), attempts are at most this far apart.
FLUSH_BACKOFF_MAX_MS = 1000
#: How long close() and the end of the process wait for a call that asks for a commit and carries no event.
FLUSH_MARK_MS = 200
#: While a job logs now and then, the delivery's thread looks by itself instead of being woken by the log call; so long
#: after the last event it stops that and sleeps.
IDLE_LOOK_MS = 5_000
#: How long close() waits for the delivery's thread to end; it usually takes a millisecond.
THREAD_STOP_MS = 2_000
#: How long the delivery's thread waits for an answer where it has to make a call by itself: while a process ends.
ONCE_TIMEOUT_S = 5.0
#: How long a fork waits for the SDK's threads to stand still; they usually take a millisecond.
FORK_WAIT_MS = 1_000
#: … and for one that may hang in an operation of the disk, of which a child takes no harm.
FORK_WAIT_DISK_MS = 50
#: A problem that was reported is reported again at most this often.
DIAGNOSTIC_INTERVAL_MS = 600_000
#: Loss ranges recorded one by one in one request before their order is given up (counts stay).
EXACT_LOSS_RANGES = 1000
#: Ranges of losses that are remembered after they were acknowledged. A collector that goes back behind more of them, as
#: one does whose disk was restored from an old copy, has the earlier ones counted as lost twice.
RELEASED_LOSS_RANGES = 1000
#: A file of the spool ends at this size; one is deleted, and read back, as a whole.
SPOOL_SEGMENT_MIN_BYTES = 256 * KIB
SPOOL_SEGMENT_MAX_BYTES = 8 * MIB
#: Requests that go to the spool in one write.
SPOOL_WRITE_BYTES = 4 * MIB
#: A spool that cannot be written is tried again after this long.
SPOOL_RETRY_MS = 10_000
#: What a request is taken to cost in memory besides its bytes, where many small ones wait.
REQUEST_OVERHEAD_BYTES = 256
#: How long close() waits for the spool's disk, in addition to its deadline.
SPOOL_CLOSE_MS = 5_000
#: Of that, what is kept for recording as lost what could not be written, and as much again for syncing.
SPOOL_CLOSE_RESERVE_MS = 500
#: Meanwhile, a spool that cannot be written is tried again after this long.
SPOOL_CLOSE_RETRY_MS = 100
#: A file of a spool beyond this size was not written by an SDK, and is not read.
SPOOL_READ_BYTES = 256 * MIB
#: When another process's spool is looked for: so long after the start, and then so often. Jittered, so that the
#: ranks of a host do not all look at once.
TAKE_OVER_FIRST_MS = 1_000
TAKE_OVER_EVERY_MS = 60_000
#: Between two calls with another process's requests.
TAKE_OVER_PAUSE_MS = 10
#: How often `sluice.system_metrics` may sample, and how long its `stop()` waits for a sample that is being taken.
SYSTEM_METRICS_INTERVAL_S = 10.0
SYSTEM_METRICS_INTERVAL_MIN_S = 0.1
SYSTEM_METRICS_INTERVAL_MAX_S = 3600.0
SYSTEM_METRICS_STOP_S = 2.0
#: How long the integrations wait for the collector when a training ends.
INTEGRATION_FLUSH_S = 10.0
#: A progress bar of `sluice.integrations.tqdm` logs at most so often, unless told otherwise.
PROGRESS_INTERVAL_S = 10.0
