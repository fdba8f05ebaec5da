/** The store takes a hundredth of what it can, then all again. A round is a second of slowness. */
import { becomes, pause } from '../rig/deadline.js';
import { memoryOf } from '../rig/memory.js';
import { Rig } from '../rig/rig.js';
import { Throttle } from '../rig/throttle.js';
import type { Scenario } from '../scenario.js';

const share = 0.01;
/** INSERTs from which the store's speed is taken. */
const measuredInserts = 20;
const calmTimeoutMs = 120_000;
const mostMemoryMiB = 256;

export const scenario: Scenario = {
  name: 'store-slow',
  summary: 'the store takes a hundredth of what it can, then everything is caught up with',
  unit: 'seconds of slowness',
  rounds: { short: 3, full: 60 },
  async run(context) {
    const { rounds } = context;
    const rig = await Rig.start(context, {
      run: 'store-slow',
      withProxy: true,
      collector: { wal: { segmentAgeMs: 40, segmentMostAgeMs: 40, segmentEvents: 20_000 } },
      producers: { loggers: 2, eventsPerSecond: 10_000, flushEveryMs: 300 },
    });
    const { collector, fleet, proxy, violations } = rig;
    const throttle = new Throttle();
    let bytes = 0;
    let busyMs = 0;
    let inserts = 0;
    proxy.onExchange = async (exchange) => {
      if (exchange.kind !== 'insert') return void (await exchange.pass());
      await throttle.take(exchange.body.length);
      const startMs = performance.now();
      await exchange.pass();
      busyMs += performance.now() - startMs;
      bytes += exchange.body.length;
      inserts++;
    };
    await Promise.all([fleet.start(), fleet.start()]);
    if (!(await becomes(() => inserts >= measuredInserts, calmTimeoutMs)))
      throw new Error(
        `${inserts} INSERTs came in ${calmTimeoutMs} ms; ${measuredInserts} are needed to know the speed`,
      );
    const fullSpeed = (bytes / busyMs) * 1000;
    throttle.bytesPerSecond = fullSpeed * share;
    const before = bytes;
    for (let second = 1; second <= rounds; second++) {
      await pause(1000);
      context.progress(second, `${fleet.acknowledged} acknowledged, ${collector.segments} segments wait`);
    }
    const slowSpeed = (bytes - before) / rounds;
    const backlogSegments = collector.segments;
    throttle.bytesPerSecond = Number.POSITIVE_INFINITY;
    const startMs = performance.now();
    const patienceMs = 60_000 + rounds * 1000;
    if (!(await becomes(() => collector.segments <= 4, patienceMs))) {
      violations.push(
        `after ${patienceMs / 1000} s at full speed ${collector.segments} segments still wait, of ${backlogSegments}`,
      );
    }
    const catchUpSeconds = Math.round((performance.now() - startMs) / 100) / 10;
    const { peakMiB } = memoryOf(collector.child.pid);
    if (peakMiB > mostMemoryMiB)
      violations.push(`the collector used ${peakMiB} MiB of memory; at most ${mostMemoryMiB} are promised`);
    return rig.finish({
      full_speed_kib_per_s: Math.round(fullSpeed / 1024),
      slow_speed_kib_per_s: Math.round(slowSpeed / 1024),
      backlog_segments: backlogSegments,
      catch_up_seconds: catchUpSeconds,
      collector_peak_mib: peakMiB,
    });
  },
};
