/**
 * One collector in memory, from one start to the next: the real log and the real way into it, with lanes
 * that commit what is sealed, as commit-worker.ts does, into a model of the store.
 */
import { type WalLimits, walLimits } from '@sluice/collector/limits.js';
import { SegmentSource } from '@sluice/collector/segment-source.js';
import type { CrashingStorage } from '@sluice/collector/testing/crashing-storage.js';
import type { VirtualTime } from '@sluice/collector/testing/virtual-time.js';
import { Uuid7Source } from '@sluice/collector/uuid7.js';
import { type SealedSegment, WriteAheadLog } from '@sluice/collector/wal/log.js';
import type { Random } from '../random.js';
import { type ModelStore, prepareBatch } from './model-store.js';

/** Small, so that segments are sealed, carried on and removed all the time. */
export const smallLimits = {
  ...walLimits,
  segmentEvents: 40,
  segmentBytes: 3000,
  segmentAgeMs: 50,
  segmentMostAgeMs: 150,
  segmentSmallEvents: 20,
};

export class Life {
  readonly log: WriteAheadLog;
  readonly storage: CrashingStorage;
  readonly #source: SegmentSource;
  readonly #store: ModelStore;
  readonly #random: Random;
  readonly #queue: SealedSegment[] = [];
  #busyLanes = 0;

  constructor(options: {
    storage: CrashingStorage;
    store: ModelStore;
    time: VirtualTime;
    random: Random;
    /** What the log tells people goes here. */
    warnings: string[];
    limits: Partial<WalLimits>;
  }) {
    const { storage, time } = options;
    this.storage = storage;
    this.#store = options.store;
    this.#random = options.random;
    this.#source = new SegmentSource(storage, smallLimits.segmentBytes);
    this.log = new WriteAheadLog({
      storage,
      limits: { ...smallLimits, ...options.limits },
      now: time.now,
      monotonic: () => time.elapsedMs,
      makeIds: (floor) => new Uuid7Source(time.now, floor),
      onSealed: (segment) => this.#queue.push(segment),
      timers: time,
      log: { warn: (_, message) => options.warnings.push(message), info: () => undefined },
    });
  }

  /** False if the process died on the way. */
  async start(): Promise<boolean> {
    await Promise.race([this.log.start(), this.storage.died]);
    return !this.storage.isDead;
  }

  get hasUncommitted(): boolean {
    return this.#queue.length > 0 || this.#busyLanes > 0;
  }

  /** Lets a lane take the next segment, two at most at a time. */
  commitOne(): void {
    const segment = this.#busyLanes < 2 ? this.#queue.shift() : undefined;
    if (segment === undefined) return;
    this.#busyLanes++;
    void this.#commit(segment).finally(() => {
      this.#busyLanes--;
    });
  }

  async #commit(segment: SealedSegment): Promise<void> {
    const store = this.#store;
    try {
      const batch = await this.#source.read(segment, prepareBatch);
      for (let turns = this.#random.whole(0, 2); turns > 0; turns--) await turn();
      if (this.storage.isDead) return;
      store.insert(batch);
      for (let turns = this.#random.whole(0, 2); turns > 0; turns--) await turn();
      if (this.storage.isDead) return;
      if (store.wasDamaged(segment.id)) await this.log.setAside(segment.id);
      else await this.log.release(segment.id);
    } catch (error) {
      if (error instanceof Error && 'syscall' in error) this.#queue.push(segment);
      else store.violations.push(`reading segment ${segment.id} threw: ${(error as Error).stack}`);
    }
  }
}

/** Lets everything run that waits for nothing but its turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
