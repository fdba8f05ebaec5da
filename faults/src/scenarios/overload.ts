/**
 * Three times what the store can take, for as long as it pleases. A round is a second of overload.
 *
 * The store's speed is fixed by a proxy, so that "three times" means the same on every machine: its peak
 * is what the proxy lets through, in events of the size that they have in its blocks. First a calm phase
 * to learn that size, then the overload: the log's disk budget is spent, calls are refused, SDKs fill
 * their buffers and drop.
 *
 * All events are of one severity, so that SDKs drop in a row. With mixed severities they evict from between
 * what they keep, and the ledger's rows, one for a few drops, then cost the store more than the events.
 *
 * 1. Goodput, what is committed meanwhile, is at least 90% of the peak.
 * 2. The collector's memory stays within its promise.
 * 3. The SDKs are told (RESOURCE_EXHAUSTED), and each event that they drop is in `losses`.
 */
import { becomes, pause } from '../rig/deadline.js';
import { memoryOf } from '../rig/memory.js';
import { Rig } from '../rig/rig.js';
import { Throttle } from '../rig/throttle.js';
import type { Scenario } from '../scenario.js';

const MiB = 1024 * 1024;
/** What the proxy lets through of blocks and ledger rows: a fraction of any machine's store, also of a busy one's. */
const storeBytesPerSecond = 0.5 * MiB;
/** Four seconds of the store's speed, so that it is spent early. */
const diskBytes = 2 * MiB;
/** Of one job; together more than the store takes, so that its peak is seen, and little for the log's budget. */
const calmEventsPerSecond = 2800;
const bufferBytes = 0.25 * MiB;
const overloadFactor = 3;
/** A quarter of a second of the store's speed: what is on its way at the ends of the measurement is little. */
const segmentEvents = 1000;
const leastGoodput = 0.9;
const mostMemoryMiB = 256;
/** Until SDKs drop; not part of what is measured. */
const settleTimeoutMs = 60_000;
const calmMs = 2500;

export const scenario: Scenario = {
  name: 'overload',
  summary: 'three times what the store can take: goodput, bounded memory, and every drop in losses',
  unit: 'seconds of overload',
  rounds: { short: 6, full: 600 },
  async run(context) {
    const { rounds } = context;
    const rig = await Rig.start(context, {
      run: 'overload',
      withProxy: true,
      collector: {
        wal: { segmentAgeMs: 200, segmentMostAgeMs: 200, segmentEvents, diskBytes, retryDelayMs: 200 },
      },
      producers: {
        isPlain: true,
        loggers: 2,
        eventsPerSecond: 1000,
        flushEveryMs: 500,
        sdk: { bufferBytes },
      },
    });
    const { collector, fleet, proxy, violations } = rig;
    const throttle = new Throttle();
    throttle.bytesPerSecond = storeBytesPerSecond;
    let committedEvents = 0;
    const bytes = { events: 0, ledger: 0 };
    proxy.onExchange = async (exchange) => {
      if (exchange.kind !== 'insert') return void (await exchange.pass());
      await throttle.take(exchange.body.length);
      const answer = await exchange.pass();
      bytes[exchange.table === 'events' ? 'events' : 'ledger'] += exchange.body.length;
      const written = /"written_rows":"(\d+)"/.exec(String(answer?.headers['x-clickhouse-summary']));
      if (exchange.table === 'events' && answer?.status === 200) committedEvents += Number(written?.[1] ?? 0);
    };
    await Promise.all([fleet.start(), fleet.start()]);
    // Enough to keep the store busy all the time, little enough for the log's budget to take the rest.
    await fleet.setRate(calmEventsPerSecond);
    await pause(1000);
    await pause(calmMs);
    const calm = await totals(fleet);
    const storeEventsPerSecond = (): number => storeBytesPerSecond / (bytes.events / committedEvents);
    await fleet.setRate((storeEventsPerSecond() * overloadFactor) / fleet.jobs.length);
    const isDropping = async (): Promise<boolean> => {
      const { dropped, isRefused } = await totals(fleet);
      return isRefused && dropped > calm.dropped * 2 + 100;
    };
    if (!(await becomes(isDropping, settleTimeoutMs, 100)))
      violations.push(`SDKs were not refused, or dropped nothing, within ${settleTimeoutMs} ms of overload`);
    const before = await totals(fleet);
    const measured = { events: committedEvents, startMs: performance.now() };
    for (let second = 1; second <= rounds; second++) {
      await pause(1000);
      context.progress(second, `${fleet.acknowledged} acknowledged, ${committedEvents} committed`);
    }
    const seconds = (performance.now() - measured.startMs) / 1000;
    const goodput = (committedEvents - measured.events) / seconds;
    const after = await totals(fleet);
    const peak = storeEventsPerSecond();
    const offered = (after.logged - before.logged) / seconds;
    const { peakMiB } = memoryOf(collector.child.pid);
    // A segment that was half on its way when the measurement began or ended is not to blame.
    if (goodput + segmentEvents / seconds < leastGoodput * peak) {
      violations.push(
        `goodput was ${Math.round(goodput)} events/s, the peak ${Math.round(peak)}: at least ${leastGoodput * 100}% of it is promised`,
      );
    }
    if (offered < 0.8 * overloadFactor * peak) {
      violations.push(
        `${Math.round(offered)} events/s were offered, for a peak of ${Math.round(peak)}: not ${overloadFactor} times as many`,
      );
    }
    if (peakMiB > mostMemoryMiB)
      violations.push(`the collector used ${peakMiB} MiB of memory; at most ${mostMemoryMiB} are promised`);
    // So that what is left is delivered soon.
    throttle.bytesPerSecond = Number.POSITIVE_INFINITY;
    const ledgerShare = bytes.ledger / (bytes.ledger + bytes.events);
    return rig.finish({
      peak_events_per_s: Math.round(peak),
      offered_events_per_s: Math.round(offered),
      goodput_events_per_s: Math.round(goodput),
      goodput_share: Math.round((goodput / peak) * 1000) / 1000,
      dropped_by_sdks: after.dropped,
      ledger_share_of_bytes: Math.round(ledgerShare * 1000) / 1000,
      collector_peak_mib: peakMiB,
    });
  },
};

async function totals(fleet: Rig['fleet']): Promise<{ logged: number; dropped: number; isRefused: boolean }> {
  const jobs = await Promise.all(fleet.jobs.map(({ child }) => child.ask('totals')));
  return {
    logged: jobs.reduce((sum, { logged }) => sum + logged, 0),
    dropped: jobs.reduce((sum, { dropped }) => sum + dropped, 0),
    isRefused: jobs.every(({ lastError }) => /wal\.diskBytes/.test(lastError ?? '')),
  };
}
