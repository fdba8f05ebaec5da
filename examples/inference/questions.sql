-- What people ask of a service. Each statement stands alone: npx sluice sql "…"

-- How long do requests take, and how long until their first token?
SELECT count() AS requests, round(quantile(0.5)(metrics['first_token_s']) * 1000, 3) AS first_token_p50_ms,
    round(quantile(0.99)(metrics['first_token_s']) * 1000, 3) AS first_token_p99_ms,
    round(quantile(0.5)(metrics['duration_s']) * 1000, 3) AS p50_ms, round(quantile(0.99)(metrics['duration_s']) * 1000, 3) AS p99_ms
FROM events WHERE project = 'serving' AND run_id = 'serving-1' AND name = 'request' AND attributes['status'] = 'ok';

-- What becomes of requests?
SELECT attributes['status'] AS status, count() AS requests, sum(metrics['generated_tokens']) AS tokens
FROM events WHERE project = 'serving' AND run_id = 'serving-1' AND name = 'request'
GROUP BY status ORDER BY requests DESC;

-- Do long prompts wait longer?
SELECT intDiv(toUInt64(metrics['prompt_tokens']), 1000) * 1000 AS prompt_from, count() AS requests,
    round(1000 * avg(metrics['queue_s']), 2) AS queue_ms, round(avg(metrics['tokens_per_s'])) AS tokens_per_s
FROM events WHERE project = 'serving' AND run_id = 'serving-1' AND name = 'request'
GROUP BY prompt_from ORDER BY prompt_from;

-- How full are the batches, and when does the queue grow?
SELECT toStartOfSecond(time) AS second, count() AS turns, round(avg(metrics['batch']), 1) AS batch, max(metrics['waiting']) AS waiting
FROM events WHERE project = 'serving' AND run_id = 'serving-1' AND name = 'engine.turn'
GROUP BY second ORDER BY second;

-- The ten slowest, to look them up in the traces.
SELECT lower(hex(trace_id)) AS trace_id, round(metrics['duration_s'], 3) AS seconds, metrics['generated_tokens'] AS tokens
FROM events WHERE project = 'serving' AND run_id = 'serving-1' AND name = 'request'
ORDER BY metrics['duration_s'] DESC LIMIT 10;
