/**
 * Keeps the sealed segments of a collector that it deletes once they are committed, so that the same
 * batches can be made again. A copy is a hard link: it costs the collector nothing, and it holds
 * whatever is written into the segment after it was made.
 */
import { link, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../measure/clock.js';

/** A segment is there for hundreds of milliseconds at least: until it is full, and until it is committed. */
const lookEveryMs = 25;

export class SegmentCopies {
  readonly directory: string;
  readonly #source: string;
  readonly #copied = new Set<string>();
  #looking: Promise<void> | undefined;
  #stopped = false;

  constructor(options: { walDirectory: string; directory: string }) {
    this.#source = options.walDirectory;
    this.directory = options.directory;
  }

  async start(): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    this.#looking = this.#look();
    // Awaited in stop.
    this.#looking.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#looking;
  }

  async #look(): Promise<void> {
    while (!this.#stopped) {
      for (const name of await readdir(this.#source)) {
        if (!name.endsWith('.wal') || this.#copied.has(name)) continue;
        try {
          await link(join(this.#source, name), join(this.directory, name));
          this.#copied.add(name);
        } catch (error) {
          // Committed and deleted between the two calls: whoever needs it will see that it is missing.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        }
      }
      await sleep(lookEveryMs);
    }
  }
}
