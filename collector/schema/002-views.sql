-- Views, version 2. They hold no data.

-- One row a run.
CREATE OR REPLACE VIEW runs AS
SELECT
    project,
    run_id,
    min(time) AS first_time,
    max(time) AS last_time,
    count() AS events,
    uniqExact(rank) AS ranks,
    max(attempt) AS last_attempt,
    max(step) AS last_step,
    countIf(severity_number >= 17) AS errors,
    arraySort(groupUniqArray(100)(job)) AS jobs,
    arraySort(groupUniqArray(100)(name)) AS names
FROM events
GROUP BY project, run_id;

-- Sequence numbers that are neither an event nor a loss. Empty, but for batches that are on their way:
-- two batches of one producer may be committed in either order. A producer is looked at closely only
-- if its numbers do not add up (their count, or their sum against 1 + 2 + ... + the largest); the sums
-- read two narrow columns of all events. Numbers whose partition has expired are not missed: a producer
-- that started before the oldest partition may start anywhere.
CREATE OR REPLACE VIEW sequence_gaps AS
WITH
    (SELECT min(received_date) FROM events) AS oldest,
    covered AS
    (
        SELECT producer_id, sequence AS first, sequence AS last FROM events
        UNION ALL
        SELECT producer_id, first_sequence AS first, last_sequence AS last FROM losses
    ),
    suspects AS
    (
        SELECT producer_id
        FROM covered
        GROUP BY producer_id
        HAVING sum(last - first + 1) != max(last)
            OR sum(toUInt128(first + last) * (last - first + 1)) != toUInt128(max(last)) * (max(last) + 1)
    )
SELECT
    producer_id,
    reached + 1 AS first_sequence,
    first - 1 AS last_sequence
FROM
(
    SELECT
        producer_id,
        first,
        max(last) OVER (PARTITION BY producer_id ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM covered
    WHERE producer_id IN (SELECT producer_id FROM suspects)
)
WHERE first > reached + 1
    AND (reached > 0 OR toDate(UUIDv7ToDateTime(producer_id)) > oldest OR toDate(UUIDv7ToDateTime(producer_id)) = today());
