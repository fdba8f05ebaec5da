/**
 * The floor: what the store alone needs for the same rows in the same batches.
 *
 * The engine, alone in a process, with the store's configuration and the schema's tables, inserts
 * prepared Native files one after another into an empty directory. No HTTP, no encoding, no log. The
 * merges that this leads to are waited for and counted, as they are in the run itself.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { monotonicMs, sleep } from '../measure/clock.js';
import { mergeStateQuery, parseMergeState, settle } from '../measure/settle.js';
import type { EngineCalls } from '../processes/protocol.js';
import type { BenchRun } from './bench-run.js';
import type { NativeFile } from './native-files.js';
import { mergedRowsQuery } from './store-sql.js';

export interface FloorMeasurements {
  readonly cpuUs: number;
  readonly insertedMs: number;
  readonly mergedRows: number;
  readonly settled: boolean;
  readonly engineVersion: string;
}

export async function measureFloor(
  run: BenchRun,
  files: { warmup: readonly NativeFile[]; measured: readonly NativeFile[] },
): Promise<FloorMeasurements> {
  const dataDir = join(run.directory, 'floor');
  await mkdir(dataDir);
  const engine = run.start<EngineCalls>({
    role: 'engine',
    entry: 'engine-process.js',
    env: { UV_THREADPOOL_SIZE: '16' },
  });
  const { version } = await engine.ask('start', { dataDir });
  for (const { path } of files.warmup) await engine.ask('insert', path);
  await engine.ask('sql', 'TRUNCATE TABLE events');

  const mergedBefore = Number(await engine.ask('sql', mergedRowsQuery));
  const before = await engine.ask('usage');
  const startMs = monotonicMs();
  for (const { path } of files.measured) await engine.ask('insert', path);
  const insertedMs = monotonicMs() - startMs;
  const { settled } = await settle(async () => parseMergeState(await engine.ask('sql', mergeStateQuery)), {
    nowMs: monotonicMs,
    sleep,
  });
  const after = await engine.ask('usage');

  const mergedRows = Number(await engine.ask('sql', mergedRowsQuery)) - mergedBefore;
  const rows = Number(await engine.ask('sql', 'SELECT count() FROM events'));
  const expected = files.measured.reduce((sum, file) => sum + file.rows, 0);
  if (rows !== expected)
    throw new Error(`the floor has ${rows} rows of ${expected}: it measured something else`);
  await engine.stop();
  return { cpuUs: after.cpuUs - before.cpuUs, insertedMs, mergedRows, settled, engineVersion: version };
}
