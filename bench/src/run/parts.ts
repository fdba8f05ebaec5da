/** The processes of the way of an event: SDKs, collector, store, each with its defaults. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Child } from '../processes/child.js';
import type { CollectorCalls, SdkCalls, SdkOptions, StoreCalls } from '../processes/protocol.js';
import type { BenchRun } from './bench-run.js';

export interface PartsOptions {
  /** The folder of these parts, in that of the run. */
  readonly directory: string;
  /** SDK processes, and the loggers in all of them together. */
  readonly processes: number;
  readonly loggers: number;
  /** What one process may hold unacknowledged. */
  readonly bufferedBytes: number;
  readonly sdk: Pick<SdkOptions, 'run' | 'workload' | 'encoding'>;
  readonly profileDirectory?: string | undefined;
  /** Collector processes; its own default if not given. */
  readonly workers?: number;
}

export interface Collecting {
  readonly collector: Child<CollectorCalls>;
  readonly store: Child<StoreCalls>;
  readonly storeUrl: string;
  /** Of the collector. */
  readonly endpoint: string;
  readonly walDirectory: string;
}

export interface Parts extends Collecting {
  readonly sdks: readonly Child<SdkCalls>[];
}

export const project = 'bench';

export async function startStore(
  run: BenchRun,
  directory: string,
): Promise<{ store: Child<StoreCalls>; storeUrl: string }> {
  const store = run.start<StoreCalls>({
    role: 'store',
    entry: 'store-process.js',
    // A statement holds a thread of libuv's pool (embedded-store.ts).
    env: { UV_THREADPOOL_SIZE: '16' },
  });
  const { url: storeUrl } = await store.ask('start', { dataDir: join(directory, 'store') });
  return { store, storeUrl };
}

/** Sink first, so that nothing is handed to a stage that is not there. */
export async function startCollecting(
  run: BenchRun,
  options: Pick<PartsOptions, 'directory' | 'profileDirectory' | 'workers'>,
): Promise<Collecting> {
  const dataDir = join(options.directory, 'collector');
  const walDirectory = join(dataDir, 'wal');
  await mkdir(walDirectory, { recursive: true });
  const { store, storeUrl } = await startStore(run, options.directory);
  const collector = run.start<CollectorCalls>({
    role: 'collector',
    entry: 'collector-process.js',
    nodeArguments: profileArguments(options.profileDirectory, 'collector'),
    ...(options.workers !== undefined && { env: { SLUICE_WORKERS: String(options.workers) } }),
  });
  const { endpoint } = await collector.ask('start', { dataDir, storeUrl });
  return { collector, store, storeUrl, endpoint, walDirectory };
}

export async function startParts(run: BenchRun, options: PartsOptions): Promise<Parts> {
  const collecting = await startCollecting(run, options);
  const { processes, loggers } = options;
  const sdks: Child<SdkCalls>[] = [];
  for (let index = 0; index < processes; index++) {
    const sdk = run.start<SdkCalls>({
      role: `SDK ${index}`,
      entry: 'sdk-process.js',
      nodeArguments: profileArguments(options.profileDirectory, 'sdk'),
    });
    sdks.push(sdk);
  }
  await Promise.all(
    sdks.map((sdk, index) => {
      const firstRank = Math.floor((loggers * index) / processes);
      return sdk.ask('start', {
        ...options.sdk,
        endpoint: collecting.endpoint,
        project,
        firstRank,
        loggers: Math.floor((loggers * (index + 1)) / processes) - firstRank,
        bufferedBytes: options.bufferedBytes,
      });
    }),
  );
  return { ...collecting, sdks };
}

/** Source first; each has handed on what it holds before the next is stopped. */
export async function stopParts({ sdks, collector, store }: Parts): Promise<void> {
  for (const sdk of sdks) await sdk.stop();
  await collector.stop();
  await store.stop();
}

/** A question with several cases frees the disk after each. */
export async function removeParts({ directory }: Pick<PartsOptions, 'directory'>): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
}

function profileArguments(directory: string | undefined, role: string): string[] {
  if (directory === undefined) return [];
  return ['--cpu-prof', `--cpu-prof-dir=${join(directory, role)}`, '--cpu-prof-interval=500'];
}
