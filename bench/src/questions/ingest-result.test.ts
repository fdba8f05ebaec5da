import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IngestMeasurements, ingestResult } from './ingest-result.js';
import { ingestTable } from './ingest-table.js';

const MiB = 2 ** 20;
const usage = (cpuUs: number, rssPeakBytes: number, mainUs: number, workerUs: number) => ({
  pid: 7,
  cpuUs,
  rssPeakBytes,
  threads: [
    { id: 7, cpuUs: mainUs },
    { id: 8, cpuUs: workerUs },
  ],
});

const measured: IngestMeasurements = {
  question: 'ingest',
  events: 1_000_000,
  producers: 1,
  load: { seconds: 1 },
  startMs: 500,
  loggedMs: 1300,
  committedWhileLogging: 400_000,
  acknowledgedMs: 1500,
  visibleMs: 2500,
  stored: 1_000_000,
  duplicated: 0,
  cpuUs: 500_000,
  resends: 0,
  sdkRssPeakBytes: 80 * MiB,
  generatorUsPerEvent: 0.1,
  collector: { before: usage(100, 0, 60, 40), after: usage(2_000_100, 200 * MiB, 900_060, 1_000_040) },
  store: { before: usage(0, 0, 0, 0), after: usage(1_500_000, 900 * MiB, 0, 0) },
  mergedRows: 1_500_000,
  floor: { cpuUs: 1_000_000, mergedRows: 1_000_000, settled: true },
  mergesSettled: true,
  walBacklogPeakBytes: 48 * MiB,
  partsActivePeak: 17,
  batches: [
    { id: 'a', rows: 600_000 },
    { id: 'b', rows: 400_000 },
  ],
};

test('rates end at the acknowledgment and at the visibility, and CPU is per event', () => {
  const result = ingestResult(measured);
  assert.equal(result.acknowledged_events_per_second, 1_000_000);
  assert.equal(result.events_per_second, 500_000);
  assert.equal(result.stored_events_per_second_while_logging, 500_000);
  assert.deepEqual(result.cpu_us_per_event, { sdk: 0.5, collector: 2, store: 1.5 });
  assert.deepEqual(result.collector_threads_cpu_us_per_event, { main: 0.9, worker: 1, rest: 0.1 });
  assert.equal(result.floor_cpu_us_per_event, 1);
  assert.equal(result.ratio, 4);
  assert.equal(result.ratio_without_generator, 3.9);
  assert.equal(result.wal_backlog_peak_mib, 48);
  assert.equal(result.collector_rss_peak_mib, 200);
  assert.deepEqual(result.batch_rows, { least: 400_000, most: 600_000 });
});

test('a fixed number of events has no duration', () => {
  assert.equal(ingestResult(measured).seconds, 1);
  assert.equal(ingestResult({ ...measured, load: { events: 1_000_000 } }).seconds, null);
});

test('the table has a line a figure, aligned', () => {
  const lines = ingestTable(ingestResult(measured)).split('\n');
  assert.ok(lines.some((line) => /^ratio, all to floor {2,}4\.00$/.test(line)));
});
