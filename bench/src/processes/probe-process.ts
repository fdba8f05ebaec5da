/**
 * A job that logs little beside a load, and takes the time until each of its events is acknowledged and visible. Two
 * loggers: one is left to its own batching, the other is flushed after each event. Both are independent of the load's
 * loggers, and so is their pace: events come at random moments, and no probe waits for another one's answer (those
 * that are flushed do, because a job that awaits `flush()` does).
 */
import { createLogger, type Logger } from '@sluice/sdk';
import { sleep } from '../measure/clock.js';
import { ownUsage } from '../measure/usage.js';
import { numbersOf, sql } from '../run/store-sql.js';
import { Pending } from './pending.js';
import type { ProbeCalls, ProbeOptions } from './protocol.js';
import { serve } from './serve.js';

/** Mean pauses: some 40 batched and some 20 flushed probes a second, next to nothing beside the load. */
const batchedPauseMs = 25;
const flushedPauseMs = 30;
const acknowledgmentEveryMs = 1;
const visibleEveryMs = 20;
/** What may be missing at the end gets so long. */
const drainMs = 30_000;

/** A name for each logger: the sorting key leads to its rows. */
const names = { batched: 'probe.batched', flushed: 'probe.flushed' } as const;

let parts: { options: ProbeOptions; batched: Logger; flushed: Logger } | undefined;

const calls: ProbeCalls = {
  async start(options) {
    const { endpoint, project, run } = options;
    const open = (): Logger => createLogger({ endpoint, project, run, job: 'probe' });
    parts = { options, batched: open(), flushed: open() };
  },
  async probe({ seconds }) {
    if (parts === undefined) throw new Error('start comes first');
    const { options, batched, flushed } = parts;
    const untilMs = performance.now() + seconds * 1000;
    const acknowledged = new Pending();
    const visible = { batched: new Pending(), flushed: new Pending() };
    const flushedMs: number[] = [];
    let unflushed = 0;
    let isLogging = true;

    const logBatched = async (): Promise<void> => {
      while (performance.now() < untilMs) {
        const nowMs = performance.now();
        batched.event(names.batched, { loss: Math.random() });
        acknowledged.add(nowMs);
        visible.batched.add(nowMs);
        await sleep(randomPause(batchedPauseMs));
      }
    };
    const logFlushed = async (): Promise<void> => {
      while (performance.now() < untilMs) {
        const startMs = performance.now();
        flushed.event(names.flushed, { loss: Math.random() });
        visible.flushed.add(startMs);
        const result = await flushed.flush({ timeoutMs: drainMs });
        if (result.acknowledged) flushedMs.push(performance.now() - startMs);
        else unflushed++;
        await sleep(randomPause(flushedPauseMs));
      }
    };
    const isPending = (...pending: readonly Pending[]): boolean =>
      isLogging || (pending.some(({ size }) => size > 0) && performance.now() < untilMs + drainMs);
    const watchAcknowledged = async (): Promise<void> => {
      while (isPending(acknowledged)) {
        acknowledged.resolveThrough(batched.stats().acknowledged, performance.now());
        await sleep(acknowledgmentEveryMs);
      }
    };
    let looks = 0;
    const watchVisible = async (): Promise<void> => {
      while (isPending(visible.batched, visible.flushed)) {
        for (const kind of ['batched', 'flushed'] as const) {
          const [count, most] = numbersOf(await sql(options.storeUrl, visibleQuery(options, names[kind])));
          // Batches may be committed in either order; without a hole, all up to the largest are there.
          if (count === most) visible[kind].resolveThrough(count!, performance.now());
        }
        looks++;
        await sleep(visibleEveryMs);
      }
    };

    const startMs = performance.now();
    const watching = Promise.all([watchAcknowledged(), watchVisible()]);
    await Promise.race([Promise.all([logBatched(), logFlushed()]), watching]);
    isLogging = false;
    await watching;
    return {
      acknowledgedMs: acknowledged.tookMs,
      visibleMs: visible.batched.tookMs,
      flushedMs,
      flushedVisibleMs: visible.flushed.tookMs,
      lookEveryMs: (performance.now() - startMs) / Math.max(1, looks),
      missing: unflushed + acknowledged.size + visible.batched.size + visible.flushed.size,
    };
  },
  usage: async () => ownUsage(),
  async stop() {
    await Promise.all([parts?.batched.close(), parts?.flushed.close()]);
  },
};
serve(calls);

function visibleQuery({ project, run }: ProbeOptions, name: string): string {
  return `SELECT count(), max(sequence) FROM events
    WHERE project = '${project}' AND run_id = '${run}' AND name = '${name}' FORMAT TabSeparated`;
}

/** Uniform between nothing and twice the mean. */
function randomPause(meanMs: number): number {
  return Math.random() * 2 * meanMs;
}
