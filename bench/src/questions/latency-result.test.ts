import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LevelMeasurements, latencyProblem, latencyResult, latencyTable } from './latency-result.js';

const level: LevelMeasurements = {
  percent: 50,
  offered: 100_000,
  reached: 99_000,
  dropped: 0,
  times: {
    acknowledgedMs: [900, 300, 600],
    visibleMs: [1900],
    flushedMs: [4.04],
    flushedVisibleMs: [1100],
    lookEveryMs: 27.31,
    missing: 0,
  },
};

test('a level has percentiles from the log call on, and the load that it really had', () => {
  const result = latencyResult({ peak: 200_000, isPeakMeasured: true, producers: 1, levels: [level] });
  const [only] = result.levels;
  assert.equal(only?.acknowledged_ms.p50, 600);
  assert.equal(only?.acknowledged_ms.max, 900);
  assert.equal(only?.flushed_ms.p99, 4);
  assert.equal(only?.reached_events_per_second, 99_000);
  assert.equal(only?.visible_look_every_ms, 27.3);
  assert.match(latencyTable(result), /^50 %, 99,000 events\/s: visible +1900\.0 +1900\.0 +1900\.0 +1$/m);
});

test('drops and unanswered probes are problems', () => {
  assert.equal(latencyProblem([level]), undefined);
  assert.match(latencyProblem([{ ...level, dropped: 2 }])!, /50 %: the load dropped 2 events/);
  const times = { ...level.times, missing: 1 };
  assert.match(latencyProblem([{ ...level, times }])!, /1 probes had no answer/);
});
