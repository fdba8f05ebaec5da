/**
 * One process that serves: its log, its gRPC server and, in the first one, the logs to be drained. It is the whole
 * collector, or one worker of several.
 *
 * Invariants:
 * 1. No request is judged before every log that may hold something of its producer has been read: the process
 *    itself waits for those that it reads, the primary for those of the other workers.
 * 2. What a log to be drained has of a producer counts from the first request on.
 */
import type { Config } from '../config.js';
import { eventsColumns } from '../encode/encode-segment.js';
import { SluiceError } from '../errors.js';
import type { FaultPlan } from '../fault-points.js';
import { youngCollector } from '../heap-flags.js';
import { innerLimits } from '../limits.js';
import type { Logger } from '../process-log.js';
import { GrpcServer } from '../receive/grpc-server.js';
import { type Ownership, ownsAll } from '../receive/ownership.js';
import { prepareSchema } from '../store/schema.js';
import type { WriteAheadLog } from '../wal/log.js';
import type { CarriedProducer } from '../wal/producer-states.js';
import { DrainedLog } from './drained-log.js';
import { logFolder, logsToDrain } from './log-folders.js';
import { type CollectorCounters, Pipeline } from './pipeline.js';

export interface ServingOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Its number, if it is one of several workers. */
  readonly worker?: number;
  readonly onCrash: (error: Error) => void;
  readonly onForgotten?: (producerKey: string) => void;
  readonly onSettled?: () => void;
  readonly counters: CollectorCounters;
  readonly faults?: FaultPlan | undefined;
}

export class Serving {
  readonly #options: ServingOptions;
  readonly #pipeline: Pipeline;
  #drained: DrainedLog[] = [];
  #grpc: GrpcServer | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: ServingOptions) {
    this.#options = options;
    this.#pipeline = new Pipeline({
      ...options,
      directory: logFolder(options.config.data.directory, options.worker ?? 0),
    });
  }

  get wal(): WriteAheadLog {
    return this.#pipeline.wal;
  }

  /** Holds the folders, looks at the store, and reads the logs as far as the disk lets it. */
  async openLogs(): Promise<void> {
    const { config, worker = 0 } = this.#options;
    this.#pipeline.lock();
    const folders = worker === 0 ? logsToDrain(config.data.directory, config.workers) : [];
    this.#drained = folders.map(
      (directory) => new DrainedLog({ ...this.#options, directory, onForgotten: undefined }),
    );
    for (const log of this.#drained) log.lock();
    await this.#checkStore();
    this.#pipeline.startCommits();
    await this.#pipeline.openLog();
    for (const log of this.#drained) await log.openLog();
  }

  /**
   * Resolves once all logs that this process reads have been read, with what they have of producers. The
   * drained ones begin to empty.
   */
  async known(): Promise<{ own: CarriedProducer[]; drained: CarriedProducer[] }> {
    await this.wal.recovered();
    for (const log of this.#drained) await log.recovered();
    const drained = this.#drained.flatMap((log) => log.known());
    void this.#drainOneByOne();
    return { own: this.wal.knownProducers(), drained };
  }

  /** Each has a thread of its own, and a thread its memory. */
  async #drainOneByOne(): Promise<void> {
    for (const log of this.#drained) await log.drainInto(this.wal);
  }

  /** Ownership for a process that is alone. Resolves once it is open, or at once if a disk fails now. */
  async ownAlone(): Promise<Ownership> {
    if (this.#drained.length === 0) return ownsAll;
    let isOpen = false;
    const opened = this.#adoptDrained().then(() => {
      isOpen = true;
    });
    await Promise.race([opened, new Promise((resolve) => setImmediate(resolve))]);
    return {
      owns: () => isOpen,
      claim: async () => (isOpen ? { kind: 'granted' } : { kind: 'refused', reason: 'unread' }),
    };
  }

  async #adoptDrained(): Promise<void> {
    const { wal } = this;
    const { drained } = await this.known();
    const largest = new Map<string, number>();
    for (const { key, sequence } of drained) {
      largest.set(key, Math.max(sequence, largest.get(key) ?? wal.durableOf(key)));
    }
    // Nothing is in the open segment yet, so this waits for nothing.
    for (const [key, sequence] of largest) if (sequence > wal.durableOf(key)) await wal.adopt(key, sequence);
  }

  /** Resolves to the gRPC port. */
  async serve(ownership: Ownership): Promise<number> {
    const { config, logger } = this.#options;
    this.#grpc = new GrpcServer({
      collectYoung: youngCollector(),
      log: this.wal,
      ownership,
      address: config.grpc.address,
      messageLimits: config.message,
      limits: config.receive,
      now: Date.now,
      notices: logger.child({ stage: 'receive' }),
    });
    return await this.#grpc.start();
  }

  /** Stops accepting, finishes open calls, syncs, flushes what fits; the rest stays in the log. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { callsMs, flushMs } = this.#options.config.stop;
    await this.#grpc?.stop(callsMs);
    await Promise.all([this.#pipeline, ...this.#drained].map((log) => log.stop(flushMs)));
  }

  /** A table that cannot be written is a reason not to start; a store that cannot be reached is not. */
  async #checkStore(): Promise<void> {
    const { config, logger } = this.#options;
    const { url, database } = config.store;
    const outcome = await prepareSchema({ url, database }, eventsColumns, innerLimits.schemaCheckMs);
    if (outcome.kind === 'mismatch') throw new SluiceError('schema_mismatch', outcome.problem);
    if (outcome.kind === 'unavailable') {
      logger.warn(
        { store: withoutPassword(url), problem: outcome.problem },
        'the store does not answer; events are acknowledged into the write-ahead log until its budget is spent',
      );
    }
  }
}

function withoutPassword(url: string): string {
  const parsed = new URL(url);
  parsed.username = '';
  parsed.password = '';
  return parsed.toString();
}
