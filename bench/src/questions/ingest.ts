/**
 * Question: what does an event cost from `log.event()` to the merged part, how much of that is not the
 * database's own, and how many events a second can be sustained?
 *
 * Hypothesis (design, promise 4): SDK, transport, log and encoding together need less CPU per event
 * than ClickHouse needs to insert and merge the same rows, so `ratio` is below 2. Merges keep up: the
 * number of parts and the log's backlog stay bounded.
 *
 * Method: the real SDK, the real collector and the real embedded store, each in a process of its own,
 * with their defaults (SLUICE_… variables change the collector's). The SDKs log events of 4 metrics and 1
 * attribute over 5 names, from recorded training logs, as fast as they are acknowledged, for a number of
 * seconds or a number of events; then they flush. First a warm-up, whose rows are removed. Then:
 * 1. From the first log call: `acknowledged_events_per_second` ends with the last acknowledgment, which
 *    comes after the fsync; `events_per_second` ends when SQL counts all rows.
 * 2. CPU is user and system time of whole processes, all threads, from the first log call until the store
 *    has merged what it wants to merge. The SDK's includes making the events; that part is given apart.
 * 3. SQL counts what is stored and what is there twice.
 * 4. The log's folder is looked at every 100 ms, the number of active parts every 3 s.
 * 5. The floor: the segments of this very run become Native files, the bytes that the collector sent, and
 *    the engine alone inserts and merges them (floor.ts).
 * The collector's memory peak is that of its whole life.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Load } from '../processes/protocol.js';
import { type Answer, given, type Options, type Question } from '../question.js';
import type { Batch } from '../run/batches.js';
import type { BenchRun } from '../run/bench-run.js';
import { measureFloor } from '../run/floor.js';
import { loadProblem, measureLoad } from '../run/measured-load.js';
import { writeNativeFiles } from '../run/native-files.js';
import { SegmentCopies } from '../run/segment-copies.js';
import { ingestResult } from './ingest-result.js';
import { ingestTable } from './ingest-table.js';

/** Long enough for every hot function to be compiled, and for a segment to be full. */
const warmup = { events: 500_000 };
/** What an SDK may hold unacknowledged: several calls of 4 MiB, far from the 64 MiB at which it drops. */
const bufferedBytes = 24 * 1024 * 1024;
/** A start, a warm-up and two waits for merges, then no slower than this many events a second. */
const baseDeadlineMs = 180_000;
const slowestEventsPerSecond = 20_000;
/** A second of logging leaves work: flushing, merges, Native files, the floor. */
const deadlineSecondsPerSecond = 10;

export const ingest: Question = {
  name: 'ingest',
  asks: 'what an event costs from the log call to the merged part, sustained',
  defaults: { seconds: 40, events: undefined, producers: 1 },
  takesProfile: true,
  deadlineMs: ingestDeadlineMs,
  ask: (options, run) => askIngest(options, run, { question: 'ingest', encoding: undefined }),
};

export function ingestDeadlineMs(options: Options): number {
  const load = loadOf(options);
  const loadMs =
    'events' in load ? load.events / slowestEventsPerSecond : load.seconds * deadlineSecondsPerSecond;
  return baseDeadlineMs + loadMs * 1000;
}

export async function askIngest(
  options: Options,
  run: BenchRun,
  { question, encoding }: { question: 'ingest' | 'rows'; encoding: 'rows' | undefined },
): Promise<Answer> {
  const producers = given(options, 'producers');
  const parts = {
    directory: join(run.directory, 'parts'),
    processes: producers,
    loggers: producers,
    bufferedBytes,
    sdk: { run: 'ingest', workload: { kind: 'training' }, encoding },
    profileDirectory: options.profileDirectory,
  } as const;
  const walDirectory = join(parts.directory, 'collector', 'wal');
  await mkdir(walDirectory, { recursive: true });
  const copies = new SegmentCopies({
    walDirectory,
    directory: join(run.directory, 'segments'),
  });
  await copies.start();
  const load = loadOf(options);
  const measured = await measureLoad(run, { ...parts, warmup, load });
  await copies.stop();

  run.step('the floor: the same batches from Native files, the engine alone');
  const prepare = (found: readonly Batch[], name: string) =>
    writeNativeFiles({
      segmentDirectory: copies.directory,
      batchIds: found.map(({ id }) => id),
      directory: join(run.directory, name),
    });
  const floor = await measureFloor(run, {
    warmup: await prepare(measured.warmupBatches, 'warmup-native'),
    measured: await prepare(measured.batches, 'native'),
  });

  const result = ingestResult({ ...measured, question, producers, load, floor });
  return {
    result,
    table: ingestTable(result),
    engineVersion: floor.engineVersion,
    problem: loadProblem(measured),
  };
}

/** A number of events wins, because only a user gives one. */
function loadOf(options: Options): Load {
  return options.events === undefined ? { seconds: given(options, 'seconds') } : { events: options.events };
}
