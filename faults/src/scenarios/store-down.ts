/**
 * The store is dead for the whole time, under full load; then it comes back, and the backlog is stored
 * while new events arrive. A round is a second of outage.
 *
 * The log's disk budget may be spent on the way: then SDKs drop, and every drop is in `losses`.
 */
import { becomes, pause } from '../rig/deadline.js';
import { memoryOf } from '../rig/memory.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

/** The promise of docs/ARCHITECTURE.md, for any length of outage. */
const mostMemoryMiB = 256;
const eventsPerSecond = 50_000;
/** Rate while the backlog is stored: new events arrive all the time. */
const calmEventsPerSecond = 10_000;
/** Seconds of catching up that a second of outage may cost. */
const catchUpShare = 2;

export const scenario: Scenario = {
  name: 'store-down',
  summary: 'the store is dead under full load, then everything is caught up with while new events arrive',
  unit: 'seconds of outage',
  rounds: { short: 4, full: 600 },
  async run(context) {
    const { rounds } = context;
    const rig = await Rig.start(context, {
      run: 'store-down',
      // Segments of the default size: this is about amounts.
      collector: {
        wal: {
          segmentAgeMs: 1000,
          segmentMostAgeMs: 1000,
          segmentEvents: 125_000,
          diskBytes: 10 * 1024 ** 3,
        },
      },
      producers: {
        loggers: 2,
        eventsPerSecond: eventsPerSecond / 2,
        flushEveryMs: 1000,
        sdk: { requestAgeMs: 100, callAgeMs: 500 },
      },
    });
    const { collector, store, fleet, violations } = rig;
    await Promise.all([fleet.start(), fleet.start()]);
    await pause(1000);
    await store.kill();
    for (let second = 1; second <= rounds; second++) {
      await pause(1000);
      context.progress(second, `${fleet.acknowledged} acknowledged, ${collector.segments} segments wait`);
    }
    const backlogSegments = collector.segments;
    const backlogMiB = collector.logMiB;
    await fleet.setRate(calmEventsPerSecond / 2);
    const startMs = performance.now();
    await store.start();
    const patienceMs = 60_000 + rounds * 1000 * catchUpShare;
    const isCaughtUp = await becomes(() => collector.segments <= 3, patienceMs, 100);
    const catchUpSeconds = Math.round((performance.now() - startMs) / 100) / 10;
    if (!isCaughtUp) {
      violations.push(
        `after ${patienceMs / 1000} s with the store ${collector.segments} segments still wait, of ${backlogSegments}`,
      );
    }
    const { peakMiB } = memoryOf(collector.child.pid);
    if (peakMiB > mostMemoryMiB)
      violations.push(`the collector used ${peakMiB} MiB of memory; at most ${mostMemoryMiB} are promised`);
    return rig.finish({
      backlog_segments: backlogSegments,
      backlog_mib: backlogMiB,
      catch_up_seconds: catchUpSeconds,
      collector_peak_mib: peakMiB,
    });
  },
};
