/**
 * A job that does nothing but log: the real SDK with its defaults.
 *
 * It must not drop, so it is held back by what is not acknowledged yet: enough to keep calls full
 * (several times the 4 MiB of one), far from the 64 MiB at which a logger drops.
 */
import { monotonicMs, sleep } from '../measure/clock.js';
import { ownUsage } from '../measure/usage.js';
import { type EventSource, openSource } from '../workload/event-source.js';
import { type GroupCounts, LoggerGroup } from './logger-group.js';
import type { SdkCalls, SdkOptions } from './protocol.js';
import { serve } from './serve.js';

/** Events between two turns of the event loop: a fraction of a millisecond, as in a job's step. */
const eventsPerTurn = 500;
/** Of one logger among many, whose connections make turns long: fewer would be a limit of their own. */
const leastEventsPerLogger = 20;
/** Between two bursts of a paced load, and what a burst may make up for after a pause. */
const paceMs = 5;
const catchUpMs = 100;
const flushTimeoutMs = 600_000;

interface Job {
  readonly options: SdkOptions;
  readonly group: LoggerGroup;
  readonly source: EventSource;
  nextLogger: number;
}

let job: Job | undefined;
/** From the first log call to the flush. */
let began: { counts: GroupCounts; cpu: NodeJS.CpuUsage } | undefined;

function started(): Job {
  if (job === undefined) throw new Error('start comes first');
  return job;
}

const calls: SdkCalls = {
  async start(options) {
    const source = openSource(options.workload);
    job = { options, group: new LoggerGroup(options), source, nextLogger: 0 };
  },
  async log(load) {
    const running = started();
    const startMs = begin(running);
    const events = 'events' in load ? load.events : Number.POSITIVE_INFINITY;
    const untilMs = 'seconds' in load ? startMs + load.seconds * 1000 : Number.POSITIVE_INFINITY;
    const perTurn = eventsPerLogger(running) * running.options.loggers;
    for (let logged = 0; logged < events && monotonicMs() < untilMs; ) {
      const count = Math.min(perTurn, events - logged);
      logEvents(running, count);
      logged += count;
      await nextTurn();
      // A timer rather than turn after turn: waiting must not cost the CPU that is measured.
      while (isFull(running) && monotonicMs() < untilMs) await sleep(1);
    }
    return { startMs, loggedMs: monotonicMs() };
  },
  async pace({ eventsPerSecond, seconds }) {
    const running = started();
    const startMs = begin(running);
    const untilMs = startMs + seconds * 1000;
    let lastMs = startMs;
    let due = 0;
    for (let nowMs = startMs; nowMs < untilMs; nowMs = monotonicMs()) {
      due += (Math.min(nowMs - lastMs, catchUpMs) / 1000) * eventsPerSecond;
      lastMs = nowMs;
      const count = Math.floor(due);
      if (!isFull(running)) logEvents(running, count);
      due -= count;
      await sleep(paceMs);
    }
    return { startMs, loggedMs: monotonicMs() };
  },
  async flush() {
    const { group } = started();
    if (began === undefined) throw new Error('log comes first');
    await group.flush(flushTimeoutMs);
    const acknowledgedMs = monotonicMs();
    const cpu = process.cpuUsage(began.cpu);
    const after = group.counts();
    return {
      acknowledgedMs,
      cpuUs: cpu.user + cpu.system,
      acknowledged: after.acknowledged - began.counts.acknowledged,
      dropped: after.dropped - began.counts.dropped,
      resends: after.resends - began.counts.resends,
      lastError: after.lastError,
    };
  },
  async generate(count) {
    const source = openSource(started().options.workload);
    let used = 0;
    const before = process.cpuUsage();
    for (let made = 0; made < count; made++) used += source.next().step;
    const { user, system } = process.cpuUsage(before);
    if (!Number.isFinite(used)) throw new Error('unreachable: keeps the loop from being optimised away');
    return (user + system) / count;
  },
  usage: async () => ownUsage(),
  async stop() {
    await job?.group.close();
  },
};
serve(calls);

function begin({ group }: Job): number {
  began = { counts: group.counts(), cpu: process.cpuUsage() };
  return monotonicMs();
}

/** The loggers in turn; each gets its share of a turn's events before the next. */
function logEvents(running: Job, count: number): void {
  const { group, source } = running;
  const { loggers } = group;
  const share = eventsPerLogger(running);
  for (let logged = 0; logged < count; ) {
    const logger = loggers[running.nextLogger]!;
    running.nextLogger = (running.nextLogger + 1) % loggers.length;
    const until = Math.min(count, logged + share);
    for (; logged < until; logged++) {
      const { name, fields, step } = source.next();
      logger.event(name, fields, { step });
    }
  }
}

function eventsPerLogger({ options }: Job): number {
  return Math.max(leastEventsPerLogger, Math.ceil(eventsPerTurn / options.loggers));
}

function isFull({ group, options }: Job): boolean {
  return group.bufferedBytes() > options.bufferedBytes;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
