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
import type { BenchRun } from '../run/bench-run.js';
import { measureFloor } from '../run/floor.js';
import { writeNativeFiles } from '../run/native-files.js';
import { SegmentCopies } from '../run/segment-copies.js';
import { mergedRowsQuery, numbersOf, sql } from '../run/store-sql.js';
import { type Batch, type IngestOptions, logAll, readBatches, startParts } from './ingest-parts.js';
import { type IngestResult, ingestResult } from './ingest-result.js';

/** Long enough for every hot function to be compiled, and for a segment to be full. */
const warmupEvents = 500_000;
const generatorEvents = 200_000;

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
