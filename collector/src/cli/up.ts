/**
 * `sluice up`: the embedded store in a child process and the collector in this one. Started sink
 * first, stopped source first, so that what is acknowledged on the way down can still be committed.
 */
import { join, resolve } from 'node:path';
import { Collector } from '../collector.js';
import type { Config } from '../config.js';
import { type Logger, openLog } from '../process-log.js';
import { lockDirectory } from '../wal/lock.js';
import type { ConfigFlags } from './flags.js';
import { boundAddress } from './grpc-address.js';
import { crash, liveUntilStopped } from './process-life.js';
import { settingsOf } from './settings.js';
import type { StoreProcess } from './store-process.js';
import { superviseStore } from './supervised-store.js';
import { renderFacts } from './table.js';

export async function up(flags: ConfigFlags): Promise<void> {
  // On a terminal the welcome says it all; a service's log wants the starts and stops.
  const config = settingsOf(flags, process.stderr.isTTY ? { logLevel: 'warn' } : {});
  const logger = openLog(config.logLevel);
  const both = new StoreAndCollector(config, flags.config, logger);
  liveUntilStopped({ logger, stop: () => both.stop(), endNow: () => both.store.endNow() });
  const ready = await both.start();
  if (ready === undefined) return;
  const data = resolve(config.data.directory);
  const facts = { ready: true, ...ready, data, pid: process.pid, storePid: both.store.pid };
  process.stdout.write(flags.json === true ? `${JSON.stringify(facts)}\n` : welcome({ ...ready, data }));
}

class StoreAndCollector {
  readonly store: StoreProcess;
  readonly #config: Config;
  readonly #logger: Logger;
  #collector: Collector | undefined;
  #starting: Promise<unknown> | undefined;
  #isStopping = false;

  constructor(config: Config, configFile: string | undefined, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.store = superviseStore(config, configFile, logger);
  }

  /** Undefined if it was told to stop meanwhile. */
  async start(): Promise<{ grpc: string; store: string } | undefined> {
    const config = this.#config;
    // Another collector that lives is found at once, not after the wait for its store.
    lockDirectory(join(config.data.directory, 'wal')).release();
    try {
      const url = await this.store.start();
      if (this.#isStopping) return undefined;
      const here = { ...config, store: { ...config.store, url } };
      this.#collector = new Collector(here, this.#logger, (error) =>
        crash(this.#logger, error, () => this.store.endNow()),
      );
      const starting = this.#collector.start();
      this.#starting = starting;
      return { grpc: boundAddress(config.grpc.address, await starting), store: url };
    } catch (error) {
      if (this.#isStopping) return undefined;
      await this.store.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    // A start is bounded; stopping in the middle of it would leave what it does afterwards.
    await this.#starting?.catch(() => {});
    await this.#collector?.stop();
    await this.store.stop();
  }
}

function welcome(ready: { grpc: string; store: string; data: string }): string {
  const store = ready.store === 'http://127.0.0.1:8123' ? '' : ` --store ${ready.store}`;
  return `Sluice is ready. Ctrl-C stops it.

${renderFacts([
  ['gRPC', `${ready.grpc}   (SLUICE_ENDPOINT of the SDKs)`],
  ['store', `${ready.store}   (ClickHouse's HTTP protocol)`],
  ['data', ready.data],
])}
Next:
  npx sluice runs${store}
  npx sluice sql "SELECT name, count() FROM events GROUP BY name"${store}
`;
}
