/**
 * One load with everything measured that a process or the store can tell: rates, CPU of each process
 * until the merges are done, memory, backlog, parts. A warm-up comes first, and its rows are removed.
 */
import { monotonicMs, sleep } from '../measure/clock.js';
import { sum } from '../measure/figures.js';
import { folderBytes, Peak } from '../measure/peak.js';
import { mergeStateQuery, parseMergeState, settle } from '../measure/settle.js';
import type { Usage } from '../measure/usage.js';
import type { Load } from '../processes/protocol.js';
import { type Batch, readBatches } from './batches.js';
import type { BenchRun } from './bench-run.js';
import { type Logged, logAll } from './load.js';
import { type PartsOptions, startParts, stopParts } from './parts.js';
import { activePartsQuery, duplicatesQuery, mergedRowsQuery, numbersOf, sql } from './store-sql.js';

const generatorEvents = 2_000_000;
const backlogEveryMs = 100;
const partsEveryMs = 3000;

export interface MeasuredLoad extends Logged {
  readonly stored: number;
  readonly duplicated: number;
  /** The most of one SDK process. */
  readonly sdkRssPeakBytes: number;
  /** CPU of making one event. */
  readonly generatorUsPerEvent: number;
  readonly collector: { readonly before: Usage; readonly after: Usage };
  readonly store: { readonly before: Usage; readonly after: Usage };
  readonly mergedRows: number;
  readonly mergesSettled: boolean;
  /** The most bytes in the log's folder, and the most active parts, until all is visible. */
  readonly walBacklogPeakBytes: number;
  readonly partsActivePeak: number;
  readonly warmupBatches: readonly Batch[];
  readonly batches: readonly Batch[];
  readonly engineVersion: string;
}

export async function measureLoad(
  run: BenchRun,
  options: PartsOptions & { readonly warmup: Load; readonly load: Load; readonly label?: string },
): Promise<MeasuredLoad> {
  const label = options.label === undefined ? '' : `${options.label}: `;
  run.step(`${label}starting the store, the collector and the SDK`);
  const parts = await startParts(run, options);
  const { sdks, collector, store, storeUrl, walDirectory } = parts;

  run.step(`${label}warming up: ${describeLoad(options.warmup)}`);
  await logAll(parts, options.warmup);
  const warmupBatches = await readBatches(storeUrl);
  await sql(storeUrl, 'TRUNCATE TABLE events');
  const generated = await Promise.all(sdks.map((sdk) => sdk.ask('generate', generatorEvents)));

  run.step(`${label}logging: ${describeLoad(options.load)}`);
  const backlog = new Peak({ everyMs: backlogEveryMs, look: () => folderBytes(walDirectory) });
  const partsActive = new Peak({
    everyMs: partsEveryMs,
    look: async () => Number(await sql(storeUrl, activePartsQuery)),
  });
  const mergedBefore = Number(await sql(storeUrl, mergedRowsQuery));
  const before = { collector: await collector.ask('usage'), store: await store.ask('usage') };
  backlog.start();
  partsActive.start();
  const logged = await logAll(parts, options.load);
  const walBacklogPeakBytes = await backlog.stop();
  const partsActivePeak = await partsActive.stop();
  run.step(`${label}all are acknowledged and visible; waiting for merges`);
  const look = async () => parseMergeState(await sql(storeUrl, mergeStateQuery));
  const { settled } = await settle(look, { nowMs: monotonicMs, sleep });
  const after = { collector: await collector.ask('usage'), store: await store.ask('usage') };
  const sdkUsages = await Promise.all(sdks.map((sdk) => sdk.ask('usage')));

  run.step(`${label}counting by SQL`);
  const mergedRows = Number(await sql(storeUrl, mergedRowsQuery)) - mergedBefore;
  const [stored, duplicated] = numbersOf(await sql(storeUrl, duplicatesQuery));
  const batches = await readBatches(storeUrl);
  const engineVersion = (await sql(storeUrl, 'SELECT version()')).trim();

  run.step(`${label}stopping`);
  await stopParts(parts);
  return {
    ...logged,
    stored: stored!,
    duplicated: duplicated!,
    sdkRssPeakBytes: Math.max(...sdkUsages.map(({ rssPeakBytes }) => rssPeakBytes)),
    generatorUsPerEvent: sum(generated) / generated.length,
    collector: { before: before.collector, after: after.collector },
    store: { before: before.store, after: after.store },
    mergedRows,
    mergesSettled: settled,
    walBacklogPeakBytes,
    partsActivePeak,
    warmupBatches,
    batches,
    engineVersion,
  };
}

/** What is wrong with a load whose figures must not be used. */
export function loadProblem(measured: MeasuredLoad): string | undefined {
  if (measured.stored === measured.events && measured.duplicated === 0) return undefined;
  return 'what is stored is not what was acknowledged';
}

function describeLoad(load: Load): string {
  return 'events' in load ? `${load.events.toLocaleString('en-US')} events` : `${load.seconds} s`;
}
