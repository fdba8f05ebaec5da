/**
 * The collector, as one process or as several: what its configuration says. Concrete stages meet in
 * workers/serving.ts and workers/pipeline.ts.
 */
import type { Config } from './config.js';
import { armFaults, type FaultPlan } from './fault-points.js';
import type { Logger } from './process-log.js';
import { type CollectorCounters, newCounters } from './workers/pipeline.js';
import { Primary } from './workers/primary.js';
import { Serving } from './workers/serving.js';

export type { CollectorCounters };

export class Collector {
  readonly #serving: Serving | undefined;
  readonly #primary: Primary | undefined;
  /** What all its processes have done since they began. */
  readonly counters: CollectorCounters = newCounters();

  /**
   * @param onCrash called when a part broke in a way that only a new start mends
   * @param faults what the fault suite breaks; nothing else gives one
   */
  constructor(config: Config, logger: Logger, onCrash: (error: Error) => void, faults?: FaultPlan) {
    armFaults(faults);
    const options = { config, logger, onCrash, counters: this.counters, faults };
    if (config.workers === 1) this.#serving = new Serving(options);
    else this.#primary = new Primary(options);
  }

  /** Resolves to the gRPC port. Rejects with a SluiceError that says what to do. */
  async start(): Promise<number> {
    if (this.#primary !== undefined) return this.#primary.start();
    const serving = this.#serving as Serving;
    try {
      await serving.openLogs();
      return await serving.serve(await serving.ownAlone());
    } catch (error) {
      await serving.stop();
      throw error;
    }
  }

  /** Stops accepting, finishes open calls, syncs, flushes what fits; the rest stays in the log. */
  async stop(): Promise<void> {
    await this.#primary?.stop();
    await this.#serving?.stop();
  }
}
