/**
 * One log with the thread that commits its segments: all of a collector but what receives. Started sink first,
 * stopped source first, so that nothing is handed to a stage that is not there.
 */
import type { CommitOutcome } from '../commit.js';
import { CommitThread } from '../commit-thread.js';
import type { Config } from '../config.js';
import { type FaultPlan, isPlanted } from '../fault-points.js';
import { markOnMainThread } from '../heap-flags.js';
import type { Logger } from '../process-log.js';
import { Uuid7Source } from '../uuid7.js';
import { type DirectoryLock, lockDirectory } from '../wal/lock.js';
import { type SealedSegment, WriteAheadLog } from '../wal/log.js';
import { damagedFolder } from '../wal/recovery.js';
import { DirectoryStorage } from '../wal/storage.js';

export interface CollectorCounters {
  committedEvents: number;
  committedSegments: number;
  quarantinedEvents: number;
  setAsideSegments: number;
}

export function newCounters(): CollectorCounters {
  return { committedEvents: 0, committedSegments: 0, quarantinedEvents: 0, setAsideSegments: 0 };
}

export interface PipelineOptions {
  /** The log's folder. */
  readonly directory: string;
  readonly config: Config;
  readonly logger: Logger;
  /** Which worker's it is, where there are several. */
  readonly worker?: number | undefined;
  /** Called when a part broke in a way that only a new start mends. */
  readonly onCrash: (error: Error) => void;
  readonly onForgotten?: ((producerKey: string) => void) | undefined;
  /** Called after each outcome. */
  readonly onSettled?: (() => void) | undefined;
  readonly counters: CollectorCounters;
  readonly faults?: FaultPlan | undefined;
}

export class Pipeline {
  readonly wal: WriteAheadLog;
  readonly #options: PipelineOptions;
  readonly #commit: CommitThread;
  #lock: DirectoryLock | undefined;
  /** Segments that were sealed before anybody committed. */
  #early: SealedSegment[] | undefined = [];
  #stopping: Promise<void> | undefined;

  constructor(options: PipelineOptions) {
    this.#options = options;
    const { directory, config, logger, worker, faults, onForgotten, onCrash } = options;
    this.#commit = new CommitThread({
      setup: {
        walDirectory: directory,
        store: { url: config.store.url, database: config.store.database },
        limits: config.store,
        segmentEvents: config.wal.segmentEvents,
        segmentBytes: config.wal.segmentBytes,
        logLevel: config.logLevel,
        worker,
        faults,
      },
      onOutcome: (segmentId, outcome) => void this.#settle(segmentId, outcome),
      onCrash,
    });
    this.wal = new WriteAheadLog({
      storage: new DirectoryStorage(directory),
      limits: config.wal,
      now: Date.now,
      monotonic: () => performance.now(),
      makeIds: (floor) => new Uuid7Source(Date.now, floor),
      onSealed: (segment) => {
        if (this.#early === undefined) this.#commit.commit(segment);
        else this.#early.push(segment);
        if (isPlanted('remove-before-commit')) void this.wal.release(segment.id);
      },
      ...(onForgotten !== undefined && { onForgotten }),
      log: logger.child({ stage: 'wal' }),
    });
  }

  /** Holds the folder until `stop`. */
  lock(): void {
    this.#lock = lockDirectory(this.#options.directory);
  }

  /** Reads the log and opens it, as far as the disk lets it. */
  openLog(): Promise<void> {
    markOnMainThread();
    return this.wal.start();
  }

  startCommits(): void {
    this.#commit.start();
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const segment of early) this.#commit.commit(segment);
  }

  /** Syncs, flushes what fits into `flushMs`; the rest stays in the log. */
  stop(flushMs: number): Promise<void> {
    this.#stopping ??= this.#stop(flushMs);
    return this.#stopping;
  }

  async #stop(flushMs: number): Promise<void> {
    if (this.#lock === undefined) return;
    await this.wal.stop();
    await this.#commit.stop(flushMs);
    await this.wal.close();
    this.#lock.release();
  }

  /** The log itself tries a removal again that fails. */
  async #settle(segmentId: string, outcome: CommitOutcome): Promise<void> {
    const { counters, logger, onSettled } = this.#options;
    switch (outcome.kind) {
      case 'committed':
        counters.committedEvents += outcome.events;
        counters.committedSegments++;
        if (outcome.foundCommitted) {
          logger.info({ segment: segmentId }, 'a segment of an earlier try was committed already');
        }
        await this.wal.release(segmentId);
        break;
      case 'stored_in_part':
        counters.committedEvents += outcome.events;
        counters.quarantinedEvents += outcome.quarantined;
        counters.committedSegments++;
        await this.wal.release(segmentId);
        break;
      case 'set_aside':
        counters.setAsideSegments++;
        logger.error(
          { segment: segmentId, reason: outcome.reason, folder: damagedFolder },
          'a segment cannot be stored in full; its file is kept aside',
        );
        await this.wal.setAside(segmentId);
        break;
      case 'stopped':
        return;
    }
    onSettled?.();
  }
}
