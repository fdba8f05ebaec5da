import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeasuredLoad } from '../run/measured-load.js';
import { fanInResult, fanInTable } from './fan-in-result.js';
import { wideResult, wideTable } from './wide-result.js';

const usage = (cpuUs: number) => ({ pid: 7, cpuUs, rssPeakBytes: 2 ** 20, threads: [] });

/** A million events, with that much CPU of the collector for each, and visible after so long. */
function measured(collectorUs: number, tookMs: number): MeasuredLoad {
  return {
    events: 1_000_000,
    startMs: 1000,
    loggedMs: 1800,
    committedWhileLogging: 0,
    acknowledgedMs: 1000 + tookMs / 2,
    visibleMs: 1000 + tookMs,
    cpuUs: 1_000_000,
    resends: 4,
    stored: 1_000_000,
    duplicated: 0,
    sdkRssPeakBytes: 0,
    generatorUsPerEvent: 0.1,
    collector: { before: usage(0), after: usage(collectorUs * 1_000_000) },
    store: { before: usage(0), after: usage(1_000_000) },
    mergedRows: 500_000,
    mergesSettled: true,
    walBacklogPeakBytes: 0,
    partsActivePeak: 1,
    warmupBatches: [],
    batches: [],
    engineVersion: '26',
  };
}

test('fan-in compares the stored rate of a thousand producers with that of ten', () => {
  const result = fanInResult(10, [
    { producers: 10, measured: measured(1, 2000) },
    { producers: 1000, measured: measured(3, 2500) },
  ]);
  assert.equal(result.thousand_to_ten, 0.8);
  assert.equal(result.cases[1]?.events_per_second, 400_000);
  assert.equal(result.cases[1]?.acknowledged_events_per_second, 800_000);
  assert.deepEqual(result.cases[1]?.cpu_us_per_event, { sdk: 1, collector: 3, store: 1 });
  assert.match(fanInTable(result), /^1,000 +400,000 +800,000 +3\.00 +1\.00 +1 +4$/m);
});

test('wide compares CPU and rate of a hundred keys with those of five', () => {
  const result = wideResult({
    producers: 1,
    seconds: 12,
    cases: [
      { keys: 5, measured: measured(2, 2000) },
      { keys: 100, measured: measured(3, 2500) },
    ],
  });
  assert.equal(result.hundred_to_five, 1.25);
  assert.equal(result.hundred_to_five_rate, 0.8);
  assert.equal(result.cases[1]?.names, 20);
  assert.equal(result.cases[1]?.cpu_us_per_event.all, 5);
  assert.match(wideTable(result), /CPU 1\.25, rate 0\.80$/);
});
