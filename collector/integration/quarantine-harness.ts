/** A store and a collector whose table refuses what is marked as forbidden, and what must hold afterwards. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { FaultPlan } from '@sluice/collector/fault-points.js';
import { producerId } from '@sluice/collector/testing/wire.js';
import type { LogRequest } from '@sluice/proto';
import {
  type CollectorProcess,
  type PartialConfig,
  RawClient,
  startCollector,
  testConfig,
  until,
} from './collector-harness.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

let folder: string;
let store: StoreProcess;
let collector: CollectorProcess | undefined;
/** For beforeEach. */
export async function open(): Promise<void> {
  folder = await newDataDir();
  store = await startStore({ dataDir: `${folder}/store` });
}

/** For afterEach. */
export async function close(): Promise<void> {
  await collector?.kill();
  collector = undefined;
  await store.stop();
  await removeDataDir(folder);
}

export const sql = (query: string): Promise<string> => store.sql(query);
export const stopCollector = async (): Promise<void> => void (await collector?.stop());

/** Segments are sealed by their number of events alone. */
export const config = (segmentEvents: number, storeMore: object = {}): PartialConfig => ({
  ...testConfig(folder, store.url),
  store: { url: store.url, retryInitialMs: 20, retryMaxMs: 200, ...storeMore },
  wal: { segmentAgeMs: 400, segmentMostAgeMs: 400, segmentEvents },
});
export const start = async (settings: PartialConfig, faults?: FaultPlan): Promise<CollectorProcess> => {
  collector = await startCollector(settings, faults);
  return collector;
};
const segments = (): string[] => readdirSync(`${folder}/wal`).filter((name) => name.endsWith('.wal'));
/** Resolves when `events` are stored or in quarantine, and their segments removed. */
export const settled = async (events: number, timeoutMs = 60_000): Promise<void> => {
  const handled = 'SELECT (SELECT count() FROM events) + (SELECT sum(events) FROM quarantine)';
  await until(
    () => number(handled),
    (found) => found >= events,
    timeoutMs,
  );
  await until(
    async () => segments().length,
    (files) => files === 1,
    timeoutMs,
  );
};
export const number = async (query: string): Promise<number> => Number(await store.sql(query));
export const addConstraint = (): Promise<string> =>
  store.sql("ALTER TABLE events ADD CONSTRAINT allowed CHECK metrics['forbidden'] = 0");
export const dropConstraint = (): Promise<string> => store.sql('ALTER TABLE events DROP CONSTRAINT allowed');

/** Requests of one producer; `isBad` says which sequences the constraint refuses. */
export function makeRequests(options: {
  readonly producer?: number;
  readonly events: number;
  readonly perRequest: number;
  readonly isBad: (sequence: number) => boolean;
}): LogRequest[] {
  const { producer = 1, events, perRequest, isBad } = options;
  const requests: LogRequest[] = [];
  for (let first = 1; first <= events; first += perRequest) {
    requests.push({
      producer: { id: producerId(producer), project: 'q', run_id: 'run', rank: producer, attempt: 2 },
      first_sequence: String(first),
      events: Array.from({ length: Math.min(perRequest, events - first + 1) }, (_, index) => {
        const sequence = first + index;
        return {
          time_unix_nano: String(1_700_000_000_000_000_000n + BigInt(sequence)),
          name: sequence % 3 === 0 ? 'eval' : 'train.step',
          step: String(sequence),
          metrics: { loss: sequence / 2, ...(isBad(sequence) && { forbidden: 1 }) },
          attributes: { text: `s${sequence}` },
        };
      }),
    });
  }
  return requests;
}

export async function log(requests: readonly LogRequest[]): Promise<void> {
  const client = new RawClient((collector as CollectorProcess).port);
  const outcome = await client.log(requests);
  client.close();
  assert.equal(outcome.kind, 'ok');
}

export const bad = (events: number, isBad: (sequence: number) => boolean): number[] =>
  Array.from({ length: events }, (_, index) => index + 1).filter(isBad);

/** Every number is once in `events`, or once in `quarantine` and once in `losses`; nothing is altered. */
export async function assertExact(
  events: number,
  quarantined: readonly number[],
  producers = 1,
): Promise<void> {
  const stored = (events - quarantined.length) * producers;
  assert.equal(
    await store.sql(
      "SELECT count(), uniqExact(producer_id, sequence), countIf(metrics['loss'] * 2 != sequence OR attributes['text'] != concat('s', toString(sequence)) OR step != sequence OR run_id != 'run' OR rank = 0 OR attempt != 2 OR toUnixTimestamp64Nano(time) != 1700000000000000000 + sequence OR name != if(sequence % 3 = 0, 'eval', 'train.step')) FROM events",
    ),
    `${stored}\t${stored}\t0\n`,
  );
  for (const table of ['quarantine', "losses WHERE origin = 'store' AND reason = 'quarantined'"]) {
    const rows = await store.sql(
      `SELECT arrayJoin(range(first_sequence, last_sequence + 1)) AS s FROM ${table} ORDER BY s`,
    );
    const found = rows.split('\n').slice(0, -1).map(Number);
    assert.deepEqual(
      found,
      quarantined.flatMap((sequence) => Array.from({ length: producers }, () => sequence)),
      table,
    );
  }
  assert.equal(await number('SELECT count() FROM sequence_gaps'), 0);
}
