/** `sluice collector`: the collector alone, writing to any ClickHouse. */
import { resolve } from 'node:path';
import { Collector } from '../collector.js';
import { openLog } from '../process-log.js';
import type { ConfigFlags } from './flags.js';
import { boundAddress } from './grpc-address.js';
import { crash, liveUntilStopped } from './process-life.js';
import { settingsOf, shownUrl } from './settings.js';
import { renderFacts } from './table.js';

export async function collector(flags: ConfigFlags): Promise<void> {
  const config = settingsOf(flags);
  const logger = openLog(config.logLevel);
  const instance = new Collector(config, logger, (error) => crash(logger, error));
  let starting: Promise<number> | undefined;
  liveUntilStopped({
    logger,
    stop: async () => {
      // A start is bounded; stopping in the middle of it would leave what it does afterwards.
      await starting?.catch(() => {});
      await instance.stop();
    },
  });
  starting = instance.start();
  const grpc = boundAddress(config.grpc.address, await starting);
  const data = resolve(config.data.directory);
  const storeUrl = shownUrl(config.store.url);
  if (flags.json === true) {
    process.stdout.write(
      `${JSON.stringify({ ready: true, grpc, store: storeUrl, data, pid: process.pid })}\n`,
    );
    return;
  }
  process.stdout.write(
    `The collector is ready. Ctrl-C stops it.\n\n${renderFacts([
      ['gRPC', grpc],
      ['store', `${storeUrl} (database ${config.store.database})`],
      ['data', data],
    ])}\n`,
  );
}
