/**
 * SIGKILL of the collector, or of the store with it, while the data of an INSERT is handed over as a file:
 * batches are large enough for that, and most kills come just after such a file was written.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

/** Longer than a batch takes to come, on a busy machine. */
const waitMs = 30_000;

/** Files that were handed over, each time that one was written counted. */
class HandedFiles {
  written = 0;
  readonly #directory: string;
  readonly #known = new Map<string, number>();

  constructor(storeDirectory: string) {
    this.#directory = join(storeDirectory, 'sluice-spool');
  }

  /** Whether one was written since the last look. */
  look(): boolean {
    const before = this.written;
    try {
      for (const name of readdirSync(this.#directory)) {
        if (!name.endsWith('.handed')) continue;
        const { mtimeMs } = statSync(join(this.#directory, name));
        if (this.#known.get(name) !== mtimeMs) this.written++;
        this.#known.set(name, mtimeMs);
      }
    } catch {
      // The folder comes and goes with the store, and a file with its INSERT.
    }
    return this.written > before;
  }

  async next(): Promise<void> {
    this.look();
    const deadline = performance.now() + waitMs;
    while (!this.look() && performance.now() < deadline) await pause(2);
  }
}

export const scenario: Scenario = {
  name: 'kill-handed',
  summary: 'SIGKILL of collector and store while the data of an INSERT is handed over as a file',
  unit: 'kills',
  rounds: { short: 4, full: 75 },
  async run(context) {
    const { random, rounds, folder } = context;
    const rig = await Rig.start(context, {
      run: 'kill-handed',
      // By number, not by age: on a busy machine, too, a batch is to be large enough to be handed over.
      collector: { wal: { segmentAgeMs: 3000, segmentMostAgeMs: 3000, segmentEvents: 3000 } },
      producers: { padBytes: 500, flushEveryMs: 300 },
    });
    const { collector, store, violations } = rig;
    const files = new HandedFiles(join(folder, 'store'));
    await Promise.all([rig.fleet.start(), rig.fleet.start()]);
    for (let round = 1; round <= rounds; round++) {
      if (!random.chance(0.1)) await files.next();
      await pause(random.next() * 60);
      const both = random.chance(0.4);
      await Promise.all([collector.kill(), both ? store.kill() : undefined]);
      await Promise.all([collector.start(), both ? store.start() : undefined]);
      context.progress(round, `${files.written} files handed over`);
    }
    if (files.written < rounds / 2)
      violations.push(`only ${files.written} files were handed over: the scenario has broken nothing`);
    return rig.finish({ kills: collector.kills + store.kills, handed_files_seen: files.written });
  },
};
