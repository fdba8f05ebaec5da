/**
 * The composition root: the only place that knows concrete stages. Started sink first, stopped
 * source first, so that nothing is handed to a stage that is not there.
 */

import { join } from 'node:path';
import type { CommitOutcome } from './commit.js';
import { CommitThread } from './commit-thread.js';
import type { Config } from './config.js';
import { eventsColumns } from './encode/encode-segment.js';
import { SluiceError } from './errors.js';
import { armFaults, type FaultPlan, isPlanted } from './fault-points.js';
import { innerLimits } from './limits.js';
import type { Logger } from './process-log.js';
import { GrpcServer } from './receive/grpc-server.js';
import { prepareSchema } from './store/schema.js';
import { Uuid7Source } from './uuid7.js';
import { type DirectoryLock, lockDirectory } from './wal/lock.js';
import { WriteAheadLog } from './wal/log.js';
import { damagedFolder } from './wal/recovery.js';
import { DirectoryStorage } from './wal/storage.js';

export interface CollectorCounters {
  committedEvents: number;
  committedSegments: number;
  quarantinedEvents: number;
  setAsideSegments: number;
}

export class Collector {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #onCrash: (error: Error) => void;
  readonly #faults: FaultPlan | undefined;
  #lock: DirectoryLock | undefined;
  #wal: WriteAheadLog | undefined;
  #commit: CommitThread | undefined;
  #grpc: GrpcServer | undefined;
  #stopping: Promise<void> | undefined;
  readonly counters: CollectorCounters = {
    committedEvents: 0,
    committedSegments: 0,
    quarantinedEvents: 0,
    setAsideSegments: 0,
  };

  /**
   * @param onCrash called when a part broke in a way that only a new start mends
   * @param faults what the fault suite breaks; nothing else gives one
   */
  constructor(config: Config, logger: Logger, onCrash: (error: Error) => void, faults?: FaultPlan) {
    this.#faults = faults;
    armFaults(faults);
    this.#config = config;
    this.#logger = logger;
    this.#onCrash = onCrash;
  }

  /** Resolves to the gRPC port. Rejects with a SluiceError that says what to do. */
  async start(): Promise<number> {
    const config = this.#config;
    const walDirectory = join(config.data.directory, 'wal');
    this.#lock = lockDirectory(walDirectory);
    try {
      await this.#checkStore();
      this.#commit = new CommitThread({
        setup: {
          walDirectory,
          store: storeAddress(config),
          limits: config.store,
          segmentEvents: config.wal.segmentEvents,
          segmentBytes: config.wal.segmentBytes,
          logLevel: config.logLevel,
          faults: this.#faults,
        },
        onOutcome: (segmentId, outcome) => void this.#settle(segmentId, outcome),
        onCrash: this.#onCrash,
      });
      const commit = this.#commit;
      this.#wal = new WriteAheadLog({
        storage: new DirectoryStorage(walDirectory),
        limits: config.wal,
        now: Date.now,
        monotonic: () => performance.now(),
        makeIds: (floor) => new Uuid7Source(Date.now, floor),
        onSealed: (segment) => {
          commit.commit(segment);
          if (isPlanted('remove-before-commit')) void this.#wal?.release(segment.id);
        },
        log: this.#logger.child({ stage: 'wal' }),
      });
      commit.start();
      await this.#wal.start();
      this.#grpc = new GrpcServer({
        log: this.#wal,
        address: config.grpc.address,
        messageLimits: config.message,
        limits: config.receive,
        now: Date.now,
        notices: this.#logger.child({ stage: 'receive' }),
      });
      return await this.#grpc.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops accepting, finishes open calls, syncs, flushes what fits; the rest stays in the log. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { callsMs, flushMs } = this.#config.stop;
    await this.#grpc?.stop(callsMs);
    await this.#wal?.stop();
    await this.#commit?.stop(flushMs);
    await this.#wal?.close();
    this.#lock?.release();
  }

  /** A table that cannot be written is a reason not to start; a store that cannot be reached is not. */
  async #checkStore(): Promise<void> {
    const outcome = await prepareSchema(storeAddress(this.#config), eventsColumns, innerLimits.schemaCheckMs);
    if (outcome.kind === 'mismatch') throw new SluiceError('schema_mismatch', outcome.problem);
    if (outcome.kind === 'unavailable') {
      this.#logger.warn(
        { store: withoutPassword(this.#config.store.url), problem: outcome.problem },
        'the store does not answer; events are acknowledged into the write-ahead log until its budget is spent',
      );
    }
  }

  /** The log itself tries a removal again that fails. */
  async #settle(segmentId: string, outcome: CommitOutcome): Promise<void> {
    const wal = this.#wal as WriteAheadLog;
    const { counters } = this;
    switch (outcome.kind) {
      case 'committed':
        counters.committedEvents += outcome.events;
        counters.committedSegments++;
        if (outcome.foundCommitted) {
          this.#logger.info({ segment: segmentId }, 'a segment of an earlier try was committed already');
        }
        await wal.release(segmentId);
        return;
      case 'stored_in_part':
        counters.committedEvents += outcome.events;
        counters.quarantinedEvents += outcome.quarantined;
        counters.committedSegments++;
        await wal.release(segmentId);
        return;
      case 'set_aside':
        counters.setAsideSegments++;
        this.#logger.error(
          { segment: segmentId, reason: outcome.reason, folder: damagedFolder },
          'a segment cannot be stored in full; its file is kept aside',
        );
        await wal.setAside(segmentId);
        return;
      case 'stopped':
        return;
    }
  }
}

function storeAddress(config: Config): { url: string; database: string } {
  return { url: config.store.url, database: config.store.database };
}

function withoutPassword(url: string): string {
  const parsed = new URL(url);
  parsed.username = '';
  parsed.password = '';
  return parsed.toString();
}
