/**
 * A log of many segments is replayed by a new collector: its memory while it drains must not exceed what
 * the same load takes with the store up by more than 128 MiB. A round is a MiB of log. Sizes are the
 * defaults: this is about memory.
 */
import { becomes, pause } from '../rig/deadline.js';
import { MemorySpan, memoryOf } from '../rig/memory.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

const mostGrowthMiB = 128;
const calmMs = 4000;
const eventsPerSecond = 400_000;

export const scenario: Scenario = {
  name: 'drain',
  summary: 'a log that an outage filled drains in bounded memory',
  unit: 'MiB of log',
  rounds: { short: 64, full: 2048 },
  async run(context) {
    const { rounds } = context;
    const rig = await Rig.start(context, {
      run: 'drain',
      collector: {
        wal: { segmentAgeMs: 1000, segmentMostAgeMs: 1000, segmentEvents: 125_000 },
        stop: { callsMs: 5000, flushMs: 120_000 },
      },
      producers: {
        loggers: 2,
        eventsPerSecond: eventsPerSecond / 2,
        // As fast as the collector takes it, and no drops.
        holdBytes: 24 * 1024 * 1024,
        flushEveryMs: 1000,
        sdk: { requestAgeMs: 200, callAgeMs: 1000 },
      },
    });
    const { collector, store, fleet, violations } = rig;
    await Promise.all([fleet.start(), fleet.start()]);
    await pause(calmMs);
    const calm = memoryOf(collector.child.pid);
    await store.kill();
    const fillMs = 60_000 + rounds * 200;
    const isFull = await becomes(
      () => {
        context.progress(Math.min(rounds - 1, Math.round(collector.logMiB)), 'the log fills');
        return collector.logMiB >= rounds;
      },
      fillMs,
      100,
    );
    if (!isFull) throw new Error(`the log has ${collector.logMiB} MiB after ${fillMs} ms; wanted ${rounds}`);
    await fleet.finish();
    const logMiB = collector.logMiB;
    const filled = memoryOf(collector.child.pid);
    await collector.kill();
    await collector.start();
    const draining = new MemorySpan(collector.child.pid);
    const startMs = performance.now();
    await store.start();
    const drainMs = 60_000 + rounds * 500;
    const isDrained = await becomes(
      () => {
        context.progress(rounds - 1, `${collector.segments} segments left`);
        return collector.segments <= 1;
      },
      drainMs,
      100,
    );
    const seconds = Math.round((performance.now() - startMs) / 100) / 10;
    if (!isDrained)
      violations.push(`${collector.segments} segments are left after ${drainMs} ms with the store`);
    const drainMiB = Math.max(draining.stop(), memoryOf(collector.child.pid).peakMiB);
    if (drainMiB > calm.peakMiB + mostGrowthMiB) {
      violations.push(
        `the collector used ${drainMiB} MiB while it drained and ${calm.peakMiB} when calm: at most ${mostGrowthMiB} more are promised`,
      );
    }
    return rig.finish({
      log_mib: logMiB,
      drain_seconds: seconds,
      calm_peak_mib: calm.peakMiB,
      outage_peak_mib: filled.peakMiB,
      drain_peak_mib: drainMiB,
    });
  },
};
