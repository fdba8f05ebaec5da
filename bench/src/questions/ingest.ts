/**
 * Question: what does an event cost from `log.event()` to the merged part, and how much of that is not
 * the database's own?
 *
 * Hypothesis (design, promise 4): SDK, transport, log and encoding together need less CPU per event
 * than ClickHouse needs to insert and merge the same rows, so `ratio` is below 2.
 *
 * Method: the real SDK, the real collector and the real embedded store, each in a process of its own,
 * with their defaults (SLUICE_… variables change the collector's). A fixed number of events of 4 metrics
 * and 1 attribute over 5 names, from recorded training logs. First a warm-up, whose rows are removed.
 * Then:
 * 1. From the first log call: `acknowledged_events_per_second` ends with the last acknowledgment, which
 *    comes after the fsync; `events_per_second` ends when SQL counts all rows.
 * 2. CPU is user and system time of whole processes, all threads, from the first log call until the store
 *    has merged what it wants to merge. The SDK's includes making the events; that part is given apart.
 * 3. SQL counts what is stored and what is there twice.
 * 4. The floor: the segments of this very run become Native files, the bytes that the collector sent, and
 *    the engine alone inserts and merges them (floor.ts).
 * The collector's memory peak is that of its whole life.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeMachine } from '../machine.js';
import { monotonicMs, sleep } from '../measure/clock.js';
import { mergeStateQuery, parseMergeState, settle } from '../measure/settle.js';
import type { Child } from '../processes/child.js';
import type { CollectorCalls, SdkCalls, StoreCalls } from '../processes/protocol.js';
import type { BenchRun } from '../run/bench-run.js';
import { measureFloor } from '../run/floor.js';
import { writeNativeFiles } from '../run/native-files.js';
import { SegmentCopies } from '../run/segment-copies.js';
import { mergedRowsQuery, numbersOf, sql } from '../run/store-sql.js';
import { type IngestResult, ingestResult } from './ingest-result.js';

export interface IngestOptions {
  readonly events: number;
  readonly producers: number;
  /** Where to write CPU profiles of the SDK and the collector; they cost time themselves. */
  readonly profileDirectory: string | undefined;
}

/** Long enough for every hot function to be compiled, and for a segment to be full. */
const warmupEvents = 500_000;
/** What an SDK may hold unacknowledged: several calls of 4 MiB, far from the 64 MiB at which it drops. */
const bufferedBytes = 24 * 1024 * 1024;
const generatorEvents = 200_000;

interface Parts {
  readonly sdks: readonly Child<SdkCalls>[];
  readonly collector: Child<CollectorCalls>;
  readonly store: Child<StoreCalls>;
  readonly storeUrl: string;
}

export async function ingest(options: IngestOptions, run: BenchRun): Promise<IngestResult> {
  const { events, producers } = options;
  const walDirectory = join(run.directory, 'collector', 'wal');
  await mkdir(walDirectory, { recursive: true });
  const copies = new SegmentCopies({ walDirectory, directory: join(run.directory, 'segments') });
  await copies.start();

  run.step('starting the store, the collector and the SDK');
  const parts = await startParts(options, run);
  const { sdks, collector, store, storeUrl } = parts;

  run.step(`warming up with ${warmupEvents.toLocaleString('en-US')} events`);
  await logAll(parts, warmupEvents);
  const warmupBatches = await readBatches(storeUrl);
  await sql(storeUrl, 'TRUNCATE TABLE events');
  const generated = await Promise.all(sdks.map((sdk) => sdk.ask('generate', generatorEvents)));

  run.step(`logging ${events.toLocaleString('en-US')} events`);
  const mergedBefore = Number(await sql(storeUrl, mergedRowsQuery));
  const before = { collector: await collector.ask('usage'), store: await store.ask('usage') };
  const logged = await logAll(parts, events);
  run.step('all are acknowledged and visible; waiting for merges');
  const look = async () => parseMergeState(await sql(storeUrl, mergeStateQuery));
  const { settled } = await settle(look, { nowMs: monotonicMs, sleep });
  const after = { collector: await collector.ask('usage'), store: await store.ask('usage') };
  const sdkUsages = await Promise.all(sdks.map((sdk) => sdk.ask('usage')));

  run.step('counting by SQL');
  const mergedRows = Number(await sql(storeUrl, mergedRowsQuery)) - mergedBefore;
  const [stored, duplicated] = numbersOf(
    await sql(storeUrl, `SELECT count(), count() - uniqExact(producer_id, sequence) FROM events`),
  );
  const batches = await readBatches(storeUrl);

  run.step('stopping');
  for (const sdk of sdks) await sdk.stop();
  await collector.stop();
  await store.stop();
  await copies.stop();

  run.step('the floor: the same batches from Native files, the engine alone');
  const prepare = (found: readonly Batch[], name: string) =>
    writeNativeFiles({
      segmentDirectory: copies.directory,
      batchIds: found.map(({ id }) => id),
      directory: join(run.directory, name),
    });
  const floor = await measureFloor(run, {
    warmup: await prepare(warmupBatches, 'warmup-native'),
    measured: await prepare(batches, 'native'),
  });

  return ingestResult({
    events,
    producers,
    ...logged,
    stored: stored!,
    duplicated: duplicated!,
    sdk: {
      cpuUs: logged.cpuUs,
      rssPeakBytes: Math.max(...sdkUsages.map(({ rssPeakBytes }) => rssPeakBytes)),
      generatorUsPerEvent: generated.reduce((sum, us) => sum + us, 0) / producers,
    },
    collector: { before: before.collector, after: after.collector },
    store: { before: before.store, after: after.store, mergedRows },
    floor,
    mergesSettled: settled && floor.settled,
    batchRows: batches.map(({ rows }) => rows),
    settings: Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) =>
        name.startsWith('SLUICE_') && value !== undefined ? [[name, value]] : [],
      ),
    ),
    profiled: options.profileDirectory !== undefined,
    machine: describeMachine(floor.engineVersion),
    date: new Date().toISOString(),
  });
}

async function startParts({ producers, profileDirectory }: IngestOptions, run: BenchRun): Promise<Parts> {
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

interface Logged {
  readonly startMs: number;
  readonly acknowledgedMs: number;
  readonly visibleMs: number;
  /** Of all SDK processes. */
  readonly cpuUs: number;
}

/** Logs events into an empty table and returns when SQL counts them all. */
async function logAll({ sdks, collector, storeUrl }: Parts, events: number): Promise<Logged> {
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

interface Batch {
  readonly id: string;
  readonly rows: number;
}

async function readBatches(storeUrl: string): Promise<Batch[]> {
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
