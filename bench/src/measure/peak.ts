/** The largest value of something that is looked at again and again while other things happen. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from './clock.js';

export class Peak {
  readonly #look: () => Promise<number>;
  readonly #everyMs: number;
  #peak = 0;
  #looking: Promise<void> | undefined;
  #stopped = false;

  constructor(options: { everyMs: number; look: () => Promise<number> }) {
    this.#everyMs = options.everyMs;
    this.#look = options.look;
  }

  start(): void {
    this.#looking = this.#watch();
    // Awaited in stop.
    this.#looking.catch(() => {});
  }

  /** Rejects if a look failed. Returns within `everyMs` and one look. */
  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#looking;
    return this.#peak;
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      this.#peak = Math.max(this.#peak, await this.#look());
      // In short naps, so that a stop does not have to wait.
      for (let waited = 0; waited < this.#everyMs && !this.#stopped; waited += 100) {
        await sleep(Math.min(100, this.#everyMs - waited));
      }
    }
  }
}

/** Bytes of the files in a folder whose files may vanish at any time. */
export async function folderBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) {
    try {
      bytes += (await stat(join(directory, name))).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return bytes;
}
