/** The real collector in a process of its own, with the faults that the suite plans for it. */
import { Collector } from '@sluice/collector/collector.js';
import { makeConfig } from '@sluice/collector/config.js';
import { openLog } from '@sluice/collector/process-log.js';
import type { CollectorCalls } from './protocol.js';
import { serve } from './serve.js';

let collector: Collector | undefined;

const calls: CollectorCalls = {
  async start({ settings, workers, faults }) {
    const logLevel = process.env['FAULTS_LOG'] ?? 'warn';
    const config = makeConfig({ logLevel, ...(workers !== undefined && { workers }) }, settings);
    collector = new Collector(
      config,
      openLog(config.logLevel),
      (error) => {
        console.error('collector: broken', error);
        process.exit(70);
      },
      faults,
    );
    return { port: await collector.start() };
  },
  async counters() {
    if (collector === undefined) throw new Error('start comes first');
    return { ...collector.counters };
  },
  async setClock({ offsetMs }) {
    // Only where it was loaded before everything else does it reach everything.
    const { setClockOffset } = await import('./stepping-clock.js');
    setClockOffset(offsetMs);
  },
  async end() {
    await collector?.stop();
  },
};
serve(calls);
