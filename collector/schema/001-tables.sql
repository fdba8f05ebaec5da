-- The tables of Sluice, version 1. Each statement ends with a semicolon at a line's end.

-- One row an event. The sorting key serves "one run, one name": a loss curve reads its own rows only.
CREATE TABLE IF NOT EXISTS events
(
    project LowCardinality(String) COMMENT 'what the run belongs to',
    run_id LowCardinality(String) COMMENT 'the run; all ranks share it',
    name LowCardinality(String) COMMENT 'what kind of event, such as train.step',
    rank UInt32 COMMENT 'global rank of the process',
    time DateTime64(9) COMMENT 'when it happened' CODEC(Delta(8), LZ4),
    step Nullable(Int64) COMMENT 'training step or request number' CODEC(Delta(8), LZ4),
    severity_number UInt8 COMMENT 'OpenTelemetry: DEBUG 5, INFO 9, WARN 13, ERROR 17',
    body String COMMENT 'text for people',
    metrics Map(LowCardinality(String), Float64) COMMENT 'numbers by key',
    attributes Map(LowCardinality(String), String) COMMENT 'everything else by key; lists and objects as JSON',
    job LowCardinality(String) COMMENT 'kind of process, such as train or serve',
    host LowCardinality(String),
    attempt UInt16 COMMENT 'how often the run was restarted before',
    trace_id String COMMENT '16 bytes or empty; hex(trace_id) shows it',
    span_id String COMMENT '8 bytes or empty; hex(span_id) shows it',
    producer_id UUID COMMENT 'one SDK instance in one process lifetime; see producers',
    sequence UInt64 COMMENT 'the number the producer gave it, from 1, without holes' CODEC(Delta(8), LZ4),
    received_date Date COMMENT 'day on which the collector opened the batch',
    batch_id LowCardinality(String) COMMENT 'the segment it came in, a UUIDv7: UUIDv7ToDateTime(toUUID(batch_id))',
    INDEX time_range time TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY received_date
ORDER BY (project, run_id, name, rank, time)
SETTINGS non_replicated_deduplication_window = 1000,
    enable_vertical_merge_algorithm = 1,
    vertical_merge_algorithm_min_rows_to_activate = 1,
    vertical_merge_algorithm_min_bytes_to_activate = 0,
    vertical_merge_algorithm_min_columns_to_activate = 1,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    ttl_only_drop_parts = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;

-- What is constant for a producer. The same producer may be written again; the newest row stands.
CREATE TABLE IF NOT EXISTS producers
(
    project LowCardinality(String),
    run_id LowCardinality(String),
    producer_id UUID,
    rank UInt32,
    local_rank Nullable(UInt32),
    world_size Nullable(UInt32),
    attempt UInt16,
    job LowCardinality(String),
    host LowCardinality(String),
    pid UInt32,
    sdk_name LowCardinality(String),
    sdk_version LowCardinality(String),
    labels Map(LowCardinality(String), String),
    start_time DateTime64(9) COMMENT 'when the process started, or when the collector first met it',
    batch_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (project, run_id, producer_id)
SETTINGS non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    ttl_only_drop_parts = 1;

-- The ledger: every sequence number that is not a row in events, with its reason.
CREATE TABLE IF NOT EXISTS losses
(
    project LowCardinality(String),
    run_id LowCardinality(String),
    producer_id UUID,
    rank UInt32,
    first_sequence UInt64,
    last_sequence UInt64 COMMENT 'inclusive',
    origin LowCardinality(String) COMMENT 'sdk: dropped before it was sent; collector: rejected; store: quarantined',
    reason LowCardinality(String),
    detail String,
    time DateTime64(9) COMMENT 'when it was dropped, or received',
    received_date Date,
    batch_id LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY received_date
ORDER BY (project, run_id, producer_id, first_sequence)
SETTINGS non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    ttl_only_drop_parts = 1;

-- Requests that ClickHouse refused for good: kept whole, with the server's reason.
CREATE TABLE IF NOT EXISTS quarantine
(
    project LowCardinality(String),
    run_id LowCardinality(String),
    producer_id UUID,
    first_sequence UInt64,
    last_sequence UInt64 COMMENT 'inclusive',
    events UInt64,
    error_code Int32 COMMENT 'the code that ClickHouse gave',
    error String,
    request String COMMENT 'the encoded sluice.v1.LogRequest in base64',
    time DateTime64(3) COMMENT 'when the collector received it',
    received_date Date,
    batch_id LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY received_date
ORDER BY (project, run_id, producer_id, first_sequence)
SETTINGS non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    ttl_only_drop_parts = 1;
