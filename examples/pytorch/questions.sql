-- What people ask of a training run. Each statement stands alone: npx sluice sql "…"

-- How does the loss of each rank fall?
SELECT intDiv(step - 1, 50) * 50 + 1 AS from_step, round(avgIf(metrics['loss'], rank = 0), 3) AS rank_0,
    round(avgIf(metrics['loss'], rank = 1), 3) AS rank_1
FROM events WHERE project = 'digits' AND run_id = 'digits-1' AND name = 'train.step'
GROUP BY from_step ORDER BY from_step;

-- How good is the model after each epoch?
SELECT toUInt32(metrics['epoch']) AS epoch, round(max(metrics['accuracy']), 4) AS accuracy, round(min(metrics['loss']), 4) AS loss
FROM events WHERE project = 'digits' AND run_id = 'digits-1' AND name = 'eval'
GROUP BY epoch ORDER BY epoch;

-- Which rank do the others wait for, and is it the data or the step that takes long?
SELECT rank, count() AS steps, round(1000 * avg(metrics['data_s']), 2) AS data_ms, round(1000 * avg(metrics['step_s']), 2) AS step_ms,
    round(1000 * quantile(0.99)(metrics['step_s']), 2) AS step_p99_ms
FROM events WHERE project = 'digits' AND run_id = 'digits-1' AND name = 'train.step'
GROUP BY rank ORDER BY rank;

-- Did any gradient explode, or any loss stop being a number?
SELECT rank, step, metrics['loss'] AS loss, metrics['grad_norm'] AS grad_norm
FROM events WHERE project = 'digits' AND run_id = 'digits-1' AND name = 'train.step'
    AND (NOT isFinite(metrics['loss']) OR NOT isFinite(metrics['grad_norm']) OR metrics['grad_norm'] > 100)
ORDER BY step LIMIT 20;

-- How busy were the processes, and how much memory did they take?
SELECT rank, count() AS samples, round(avg(metrics['process_cpu_percent'])) AS cpu_percent,
    round(max(metrics['process_rss_bytes']) / 1048576) AS rss_mib
FROM events WHERE project = 'digits' AND run_id = 'digits-1' AND name = 'system'
GROUP BY rank ORDER BY rank;

-- Is everything there that was logged? (No row: yes.)
SELECT producer_id, first_sequence, last_sequence FROM sequence_gaps;
