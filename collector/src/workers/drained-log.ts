/**
 * A log that an earlier collector with more workers left. Its segments are committed under their own ids, and
 * what it knows of producers is carried on by a log that stays; then it is removed.
 *
 * Invariants:
 * 1. Nothing is appended to it.
 * 2. Its last segment, which carries its durable sequences, is removed only when all others are settled and
 *    each of those sequences, or a larger one, is durable in the log that carries them on.
 * 3. Whatever interrupts this, the next start finds it as it is and goes on. Files in `damaged` stay.
 */
import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { innerLimits } from '../limits.js';
import type { WriteAheadLog } from '../wal/log.js';
import type { CarriedProducer } from '../wal/producer-states.js';
import { isNewSegmentFileName, segmentFileName, segmentIdsOf } from '../wal/segment-name.js';
import { Pipeline, type PipelineOptions } from './pipeline.js';

const { drainLookMs } = innerLimits.workers;

export class DrainedLog {
  readonly #pipeline: Pipeline;
  readonly #options: PipelineOptions;
  readonly #stopped = new AbortController();
  #draining: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#pipeline = new Pipeline(options);
  }

  lock(): void {
    this.#pipeline.lock();
  }

  openLog(): Promise<void> {
    return this.#pipeline.openLog();
  }

  recovered(): Promise<void> {
    return this.#pipeline.wal.recovered();
  }

  /** What its disk has of producers, once it has been recovered. */
  known(): CarriedProducer[] {
    return this.#pipeline.wal.knownProducers();
  }

  /** Empties it into the store and `heir`. Resolves when it is gone, or was stopped, however long that takes. */
  drainInto(heir: WriteAheadLog): Promise<void> {
    if (!this.#stopped.signal.aborted) this.#draining = this.#drain(heir);
    return this.#draining;
  }

  async #drain(heir: WriteAheadLog): Promise<void> {
    const { logger, directory, onCrash } = this.#options;
    try {
      logger.info({ directory }, 'draining the log of a worker that is no more');
      const { signal } = this.#stopped;
      const carried = heir.carry(this.known());
      this.#pipeline.startCommits();
      while (this.#pipeline.wal.sealedBytes > 0 && !signal.aborted) {
        await delay(drainLookMs, undefined, { signal }).catch(() => undefined);
      }
      await Promise.race([carried, aborted(signal)]);
      if (signal.aborted) return;
      await this.#pipeline.stop(0);
      await removeLog(directory);
      logger.info({ directory }, 'the log of a worker that is no more is drained and gone');
    } catch (error) {
      onCrash(error as Error);
    }
  }

  /** Leaves the rest to the next start. */
  stop(flushMs: number): Promise<void> {
    this.#stopping ??= this.#stop(flushMs);
    return this.#stopping;
  }

  async #stop(flushMs: number): Promise<void> {
    this.#stopped.abort();
    await this.#draining;
    await this.#pipeline.stop(flushMs);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function removeLog(directory: string): Promise<void> {
  const names = await readdir(directory);
  const files = [...segmentIdsOf(names).map(segmentFileName), ...names.filter(isNewSegmentFileName)];
  for (const name of files) await rm(join(directory, name), { force: true });
  // Not empty: it has damaged files, which people look at.
  await rmdir(directory).catch(() => undefined);
}
