/**
 * A job that does nothing but log: the real SDK with its defaults.
 *
 * It must not drop, so it is held back by what is not acknowledged yet: enough to keep calls full
 * (several times the 4 MiB of one), far from the 64 MiB at which the SDK drops.
 */
import { createLogger, type Logger } from '@sluice/sdk';
import { monotonicMs, sleep } from '../measure/clock.js';
import { ownUsage } from '../measure/usage.js';
import { TrainingEvents } from '../workload/training-events.js';
import { readTrainingLog } from '../workload/training-log.js';
import type { SdkCalls } from './protocol.js';
import { serve } from './serve.js';

/** Events between two turns of the event loop: a fraction of a millisecond, as in a job's step. */
const eventsPerTurn = 500;
const flushTimeoutMs = 600_000;

const sections = readTrainingLog();
const events = new TrainingEvents(sections);
let logger: Logger | undefined;
let mostBufferedBytes = 0;

function started(): Logger {
  if (logger === undefined) throw new Error('start comes first');
  return logger;
}

const calls: SdkCalls = {
  async start({ endpoint, project, run, rank, bufferedBytes }) {
    mostBufferedBytes = bufferedBytes;
    logger = createLogger({
      endpoint,
      project,
      run,
      rank,
      job: 'bench',
      onDiagnostic: ({ kind, message }) => console.error(`sdk: ${kind}: ${message}`),
    });
  },
  async log(count) {
    const log = started();
    const before = log.stats();
    const cpuBefore = process.cpuUsage();
    const startMs = monotonicMs();
    for (let logged = 0; logged < count; ) {
      const until = Math.min(count, logged + eventsPerTurn);
      for (; logged < until; logged++) {
        const { name, fields, step } = events.next();
        log.event(name, fields, { step });
      }
      await nextTurn();
      // A timer rather than turn after turn: waiting must not cost the CPU that is measured.
      while (log.stats().bufferedBytes > mostBufferedBytes) await sleep(1);
    }
    await log.flush({ timeoutMs: flushTimeoutMs });
    const acknowledgedMs = monotonicMs();
    const cpu = process.cpuUsage(cpuBefore);
    const after = log.stats();
    return {
      startMs,
      acknowledgedMs,
      cpuUs: cpu.user + cpu.system,
      acknowledged: after.acknowledged - before.acknowledged,
      dropped: sum(after.dropped) - sum(before.dropped),
      lastError: after.lastError,
    };
  },
  async generate(count) {
    const source = new TrainingEvents(sections);
    let used = 0;
    const before = process.cpuUsage();
    for (let made = 0; made < count; made++) used += source.next().step;
    const { user, system } = process.cpuUsage(before);
    if (!Number.isFinite(used)) throw new Error('unreachable: keeps the loop from being optimised away');
    return (user + system) / count;
  },
  usage: async () => ownUsage(),
  async stop() {
    await logger?.close();
  },
};
serve(calls);

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
