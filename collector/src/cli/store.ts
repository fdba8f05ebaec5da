/** `sluice store`: the embedded store alone. The engine runs in a child, so that its pool has the threads it needs. */
import { resolve } from 'node:path';
import { createEmbeddedStore } from '../embedded/embedded-store.js';
import { openLog } from '../process-log.js';
import { exitCodes } from './exit-codes.js';
import type { ConfigFlags } from './flags.js';
import { liveUntilStopped } from './process-life.js';
import { settingsOf, storeDirectory } from './settings.js';
import { failureNotice, notifySupervisor } from './store-notice.js';
import { superviseStore } from './supervised-store.js';
import { renderFacts } from './table.js';

export interface StoreFlags extends ConfigFlags {
  readonly supervised?: boolean;
}

export async function store(flags: StoreFlags): Promise<void> {
  if (flags.supervised === true) return serve(flags);
  const config = settingsOf(flags);
  const logger = openLog(config.logLevel);
  const child = superviseStore(config, flags.config, logger);
  liveUntilStopped({ logger, stop: () => child.stop(), endNow: () => child.endNow() });
  const url = await child.start();
  const data = resolve(config.data.directory);
  if (flags.json === true) {
    const line = { ready: true, store: url, data, pid: process.pid, storePid: child.pid };
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return;
  }
  process.stdout.write(
    `The embedded store is ready. Ctrl-C stops it.\n\n${renderFacts([
      ['store', url],
      ['data', data],
    ])}\nNext:\n  npx sluice sql "SELECT version()" --store ${url}\n  npx sluice collector --store ${url}\n`,
  );
}

/** The child's side. */
async function serve(flags: StoreFlags): Promise<void> {
  const config = settingsOf(flags);
  const logger = openLog(config.logLevel);
  const { host, port, ...limits } = config.embedded;
  const embedded = createEmbeddedStore({ dataDir: storeDirectory(config), host, port, limits, log: logger });
  liveUntilStopped({ logger, stop: () => embedded.stop(), isSupervised: true });
  try {
    const { url, port: bound } = await embedded.start();
    await notifySupervisor({ kind: 'ready', url, port: bound });
  } catch (error) {
    await notifySupervisor(failureNotice(error));
    process.exit(exitCodes.failed);
  }
}
