/** What `ingest` runs: the processes of the way of an event, and a load through all of them. */
import { join } from 'node:path';
import { monotonicMs, sleep } from '../measure/clock.js';
import type { Child } from '../processes/child.js';
import type { CollectorCalls, SdkCalls, StoreCalls } from '../processes/protocol.js';
import type { BenchRun } from '../run/bench-run.js';
import { numbersOf, sql } from '../run/store-sql.js';

export interface IngestOptions {
  readonly events: number;
  readonly producers: number;
  /** Where to write CPU profiles of the SDK and the collector; they cost time themselves. */
  readonly profileDirectory: string | undefined;
}

/** What an SDK may hold unacknowledged: several calls of 4 MiB, far from the 64 MiB at which it drops. */
const bufferedBytes = 24 * 1024 * 1024;

export interface IngestParts {
  readonly sdks: readonly Child<SdkCalls>[];
  readonly collector: Child<CollectorCalls>;
  readonly store: Child<StoreCalls>;
  readonly storeUrl: string;
}

export async function startParts(
  { producers, profileDirectory }: IngestOptions,
  run: BenchRun,
): Promise<IngestParts> {
  const profile = (role: string) =>
    profileDirectory === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${join(profileDirectory, role)}`, '--cpu-prof-interval=500'];
  const store = run.start<StoreCalls>({
    role: 'store',
    entry: 'store-process.js',
    // A statement holds a thread of libuv's pool (embedded-store.ts).
    env: { UV_THREADPOOL_SIZE: '16' },
  });
  const { url: storeUrl } = await store.ask('start', { dataDir: join(run.directory, 'store') });
  const collector = run.start<CollectorCalls>({
    role: 'collector',
    entry: 'collector-process.js',
    nodeArguments: profile('collector'),
  });
  const dataDir = join(run.directory, 'collector');
  const { endpoint } = await collector.ask('start', { dataDir, storeUrl });
  const sdks = Array.from({ length: producers }, (_, rank) =>
    run.start<SdkCalls>({ role: `SDK ${rank}`, entry: 'sdk-process.js', nodeArguments: profile('sdk') }),
  );
  await Promise.all(
    sdks.map((sdk, rank) =>
      sdk.ask('start', { endpoint, project: 'bench', run: 'ingest', rank, bufferedBytes }),
    ),
  );
  return { sdks, collector, store, storeUrl };
}

export interface Logged {
  readonly startMs: number;
  readonly acknowledgedMs: number;
  readonly visibleMs: number;
  /** Of all SDK processes. */
  readonly cpuUs: number;
}

/** Logs events into an empty table and returns when SQL counts them all. */
export async function logAll({ sdks, collector, storeUrl }: IngestParts, events: number): Promise<Logged> {
  const { committedEvents: committedBefore } = await collector.ask('counters');
  const share = Math.floor(events / sdks.length);
  const outcomes = await Promise.all(
    sdks.map((sdk, index) => sdk.ask('log', index === 0 ? events - share * (sdks.length - 1) : share)),
  );
  const acknowledged = outcomes.reduce((sum, outcome) => sum + outcome.acknowledged, 0);
  if (acknowledged !== events || outcomes.some(({ dropped }) => dropped > 0)) {
    throw new Error(
      `only ${acknowledged} of ${events} events were acknowledged: ${JSON.stringify(outcomes)}`,
    );
  }
  // The collector's own counter first: asking SQL all the time would cost the store CPU that is measured.
  for (;;) {
    const { committedEvents, quarantinedEvents, setAsideSegments } = await collector.ask('counters');
    if (quarantinedEvents > 0 || setAsideSegments > 0)
      throw new Error('the store refused events of the bench');
    if (committedEvents - committedBefore >= events) break;
    await sleep(10);
  }
  const [visible] = numbersOf(await sql(storeUrl, 'SELECT count() FROM events'));
  if (visible !== events) throw new Error(`${events} events were committed, but SQL counts ${visible}`);
  return {
    startMs: Math.min(...outcomes.map(({ startMs }) => startMs)),
    acknowledgedMs: Math.max(...outcomes.map(({ acknowledgedMs }) => acknowledgedMs)),
    visibleMs: monotonicMs(),
    cpuUs: outcomes.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
  };
}

export interface Batch {
  readonly id: string;
  readonly rows: number;
}

export async function readBatches(storeUrl: string): Promise<Batch[]> {
  const answer = await sql(
    storeUrl,
    'SELECT batch_id, count() FROM events GROUP BY batch_id ORDER BY batch_id FORMAT TabSeparated',
  );
  return answer
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [id, rows] = line.split('\t');
      return { id: id!, rows: Number(rows) };
    });
}
