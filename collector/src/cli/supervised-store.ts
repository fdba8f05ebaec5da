/** A store process for a configuration, as `up` and `store` run it. */
import type { Config } from '../config.js';
import type { Logger } from '../process-log.js';
import { storeDirectory } from './settings.js';
import { StoreProcess } from './store-process.js';

/** Threads besides those of statements: connections' KILLs, decompression, spool files, DNS. */
const spareThreads = 10;

export function superviseStore(config: Config, configFile: string | undefined, log: Logger): StoreProcess {
  const { host, port, concurrentReads, concurrentInserts } = config.embedded;
  return new StoreProcess({
    directory: storeDirectory(config),
    data: config.data.directory,
    host,
    port,
    configFile,
    threads: concurrentReads + concurrentInserts + spareThreads,
    log,
  });
}
