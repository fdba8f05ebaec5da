/** The collector in a process of its own. SLUICE_… variables set its limits, as they do for `sluice collector`. */
import type { Collector as OpenCollector } from '@sluice/collector/collector.js';
import { holdYoungGeneration } from '@sluice/collector/heap-flags.js';
import { treeUsage } from '../measure/usage.js';
import type { CollectorCalls } from './protocol.js';
import { serve } from './serve.js';

// As the command line does: before anything large is loaded.
holdYoungGeneration();
const { Collector } = await import('@sluice/collector/collector.js');
const { environmentLayer, makeConfig } = await import('@sluice/collector/config.js');
const { openLog } = await import('@sluice/collector/process-log.js');

let collector: OpenCollector | undefined;

function started(): OpenCollector {
  if (collector === undefined) throw new Error('start comes first');
  return collector;
}

const calls: CollectorCalls = {
  async start({ dataDir, storeUrl }) {
    const config = makeConfig({ logLevel: 'warn' }, environmentLayer(process.env), {
      grpc: { address: '127.0.0.1:0' },
      data: { directory: dataDir },
      store: { url: storeUrl },
    });
    collector = new Collector(config, openLog(config.logLevel), (error) => {
      console.error('collector: broken', error);
      process.exit(1);
    });
    const port = await collector.start();
    return { endpoint: `127.0.0.1:${port}` };
  },
  async counters() {
    return { ...started().counters };
  },
  usage: async () => treeUsage(),
  async stop() {
    await collector?.stop();
  },
};
serve(calls);
