import { resolve } from 'node:path';
import { systemClock } from '../clock.js';
import { type Diagnostic, Diagnostics } from '../diagnostics.js';
import { parseEndpoint } from '../endpoint.js';
import { resolveOptions } from '../options.js';
import { GrpcTransport } from '../transport/grpc-transport.js';
import { decodeProducer } from '../transport/response.js';
import { uuidText } from '../uuid7.js';
import { claimFolder, listFolders, type SpoolFolder } from './claim.js';
import { systemFiles } from './files.js';
import { folderName } from './format.js';
import { inspectOrphan, type Orphan } from './orphan.js';
import { setAside } from './orphan-buffer.js';
import { thisProcess } from './owner.js';
import { OrphanSender } from './sender.js';

/** What lies in the spool of one producer, and what became of it. */
export interface SyncedProducer {
  /** `producer_id` in the tables. */
  readonly producerId: string;
  /** Empty for a folder that was not opened, or holds nothing. */
  readonly project: string;
  readonly run: string;
  readonly rank: number;
  /** The host of its process, if that is known. */
  readonly host: string;
  /** Events that were in the folder and not acknowledged; 0 for one that was not opened. */
  readonly events: number;
  /** How many of these are acknowledged now: on the collector's disk, or counted there as lost. */
  readonly delivered: number;
  /** Sequence numbers that were reported as lost, because their part of the spool is damaged or missing. */
  readonly lost: number;
  readonly bytes: number;
  readonly state:
    | 'delivered' // everything is acknowledged, and the files are gone
    | 'damaged' // everything that is sound is acknowledged; the damaged files were put aside
    | 'left' // not everything could be delivered in time
    | 'unreadable' // it cannot be claimed, read or removed
    | 'in use' // its process lives and delivers it itself
    | 'other host' // its process ran on another host or in another container, and may live there
    | 'taken'; // somebody else took it just now
  /** Why, in words; empty if there is nothing to say. */
  readonly detail: string;
}

export interface SyncOptions {
  /** As `endpoint` of `createLogger`. SLUICE_ENDPOINT; default 127.0.0.1:4317. */
  readonly endpoint?: string | undefined;
  /** Takes the folders of processes on other hosts and in other containers too. They must be gone. */
  readonly otherHosts?: boolean | undefined;
  /** Gives up after so long without progress; 0: never. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Ends it early, and gives back what is not delivered. */
  readonly signal?: AbortSignal | undefined;
  /** A producer is done, one way or another. */
  readonly onProducer?: ((producer: SyncedProducer) => void) | undefined;
  /** About once a second while a producer is delivered. */
  readonly onProgress?: ((progress: { run: string; delivered: number; events: number }) => void) | undefined;
  /** Takes problems on the way, as with `createLogger`; default: one line on stderr. */
  readonly onDiagnostic?: ((diagnostic: Diagnostic) => void) | undefined;
}

export interface SyncResult {
  /** The oldest first. */
  readonly producers: readonly SyncedProducer[];
  /** Whether nothing is left but what living processes deliver themselves. */
  readonly isComplete: boolean;
}

const defaultTimeoutMs = 30_000;
const progressMs = 1000;
const nothing = { project: '', run: '', rank: 0, events: 0, delivered: 0, lost: 0, bytes: 0 } as const;

/**
 * Delivers everything that lies in a spool directory and whose process is gone: events of jobs that were killed,
 * that could not reach their collector, or that ran offline. Each event arrives once, whoever tries how often.
 *
 * Any number of processes may do so at once, and loggers may use the directory meanwhile. Rejects only if the
 * directory cannot be listed (ENOENT if there is none) or the endpoint is none.
 */
export async function syncSpool(directory: string, options: SyncOptions = {}): Promise<SyncResult> {
  const path = resolve(directory);
  const run = new SyncRun(path, options);
  const producers: SyncedProducer[] = [];
  for (const folder of await listFolders(systemFiles, path, thisProcess())) {
    if (options.signal?.aborted) break;
    const producer = await run.sync(folder);
    producers.push(producer);
    options.onProducer?.(producer);
  }
  run.end();
  const isComplete = producers.every(({ state }) =>
    ['delivered', 'damaged', 'in use', 'taken'].includes(state),
  );
  return { producers, isComplete: isComplete && options.signal?.aborted !== true };
}

class SyncRun {
  readonly #directory: string;
  readonly #options: SyncOptions;
  readonly #transport: GrpcTransport;
  readonly #parts: ConstructorParameters<typeof OrphanSender>[0] extends infer Parts
    ? Omit<Parts, 'orphan' | 'producer' | 'failed'>
    : never;
  #problem = '';

  constructor(directory: string, options: SyncOptions) {
    const { endpoint, onDiagnostic } = options;
    if (endpoint !== undefined && parseEndpoint(endpoint) === undefined) {
      throw new RangeError(
        `the endpoint is ${JSON.stringify(endpoint)}; it must be host:port, http://host:port or https://host:port`,
      );
    }
    const settings = resolveOptions({ endpoint }, { variables: process.env, host: '', newRun: () => '' });
    this.#directory = directory;
    this.#options = options;
    this.#transport = new GrpcTransport(settings.endpoint);
    this.#parts = {
      files: systemFiles,
      transport: this.#transport,
      clock: systemClock,
      diagnostics: new Diagnostics(systemClock, onDiagnostic),
      settings: { ...settings, endpoint: settings.endpoint.target },
    };
  }

  end(): void {
    this.#transport.disconnect();
  }

  async sync(folder: SpoolFolder): Promise<SyncedProducer> {
    const { name, producerId, owner, state } = folder;
    const base = { ...nothing, producerId: uuidText(producerId), host: owner?.host ?? '' };
    if (state === 'alive') return { ...base, state: 'in use', detail: `process ${owner?.pid} lives` };
    if (state === 'elsewhere' && this.#options.otherHosts !== true) {
      const where = owner === undefined ? name : `process ${owner.pid} of ${owner.host}`;
      return {
        ...base,
        state: 'other host',
        detail: `of ${where}; it may live, which cannot be seen from here`,
      };
    }
    try {
      const path = await claimFolder(systemFiles, this.#directory, folder, thisProcess());
      if (path === undefined) return { ...base, state: 'taken', detail: 'somebody else took it just now' };
      try {
        const orphan = await inspectOrphan(systemFiles, path, producerId);
        const result = await this.#deliver(base, orphan);
        if (result.state !== 'delivered' || orphan.producer !== undefined) return result;
        return { ...result, detail: `nothing to send: ${resolve(this.#directory, name)} held no event` };
      } finally {
        // What is still there goes back, to whoever tries next.
        const free = resolve(this.#directory, folderName(producerId));
        await systemFiles.rename(path, free).catch(() => undefined);
      }
    } catch (error) {
      return { ...base, state: 'unreadable', detail: error instanceof Error ? error.message : String(error) };
    }
  }

  async #deliver(base: Omit<SyncedProducer, 'state' | 'detail'>, orphan: Orphan): Promise<SyncedProducer> {
    const { producer, events, bytes, damages } = orphan;
    if (producer === undefined && damages.length > 0) {
      const aside = await setAside(systemFiles, orphan);
      return { ...base, bytes, state: 'damaged', detail: `${damages.join('; ')}; put aside as ${aside}` };
    }
    const facts = producer && decodeProducer(producer);
    // An empty folder is nobody's.
    const unnamed = producer === undefined ? '' : 'default';
    const known = {
      ...base,
      project: facts?.project || unnamed,
      run: facts?.run_id || unnamed,
      rank: facts?.rank ?? 0,
      host: facts?.host || base.host,
      events,
      bytes,
    };
    this.#problem = '';
    const sender = new OrphanSender({
      ...this.#parts,
      orphan,
      producer: producer ?? Buffer.alloc(0),
      failed: (error) => {
        this.#problem = error instanceof Error ? error.message : String(error);
      },
    });
    try {
      const isDelivered = await this.#wait(sender, orphan, known.run);
      const result = { ...known, delivered: events - sender.buffer.bufferedEvents, lost: sender.buffer.lost };
      if (!isDelivered) {
        const detail = this.#problem || (sender.lastError ?? 'stopped before it began');
        return { ...result, state: 'left', detail };
      }
      const aside = await sender.buffer.finish();
      if (this.#problem) return { ...result, state: 'unreadable', detail: this.#problem };
      if (aside === undefined) return { ...result, state: 'delivered', detail: '' };
      return { ...result, state: 'damaged', detail: `${damages.join('; ')}; put aside as ${aside}` };
    } finally {
      await sender.stop();
    }
  }

  async #wait(sender: OrphanSender, orphan: Orphan, run: string): Promise<boolean> {
    const { timeoutMs = defaultTimeoutMs, onProgress, signal } = this.#options;
    if (orphan.last <= orphan.acknowledged) return true;
    const stop = (): void => sender.stopSync();
    signal?.addEventListener('abort', stop);
    try {
      let seen = sender.buffer.firstPending;
      let sinceMs = performance.now();
      while (!signal?.aborted) {
        const sliceMs = timeoutMs > 0 ? Math.min(progressMs, timeoutMs) : progressMs;
        if (await sender.deliverWithin(sliceMs)) return true;
        const { firstPending, bufferedEvents } = sender.buffer;
        if (firstPending !== seen) sinceMs = performance.now();
        else if (timeoutMs > 0 && performance.now() - sinceMs >= timeoutMs) return false;
        seen = firstPending;
        onProgress?.({ run, delivered: orphan.events - bufferedEvents, events: orphan.events });
      }
      return false;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }
}
