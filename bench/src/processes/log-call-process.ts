/** A job that logs at a realistic pace and takes the time, or the memory, of each log call. */
import { createLogger, type Logger } from '@sluice/sdk';
import { sleep } from '../measure/clock.js';
import { percentiles } from '../measure/percentiles.js';
import { ownUsage } from '../measure/usage.js';
import { type EventSource, openSource } from '../workload/event-source.js';
import type { LogCallCalls } from './protocol.js';
import { serve } from './serve.js';

/** A burst, then a turn of at least a millisecond: up to 20,000 events/s, so that seals and sends come between. */
const callsPerBurst = 20;
const turnMs = 1;
/** Not recorded: until the functions on the way are compiled. */
const warmupCalls = 20_000;
const fillBurst = 500;

let logger: Logger | undefined;
const source: EventSource = openSource({ kind: 'training' });

function started(): Logger {
  if (logger === undefined) throw new Error('start comes first');
  return logger;
}

const calls: LogCallCalls = {
  async start({ endpoint }) {
    logger = createLogger({
      endpoint,
      project: 'bench',
      run: 'log-call',
      job: 'bench',
      // A collector that is down or hangs is what is asked for; the counters tell of it.
      onDiagnostic: () => {},
    });
    await logPaced(logger, warmupCalls);
  },
  async time({ calls, mostSeconds }) {
    const log = started();
    const before = log.stats();
    const ns = new Float64Array(calls);
    const untilMs = performance.now() + mostSeconds * 1000;
    let done = 0;
    while (done < calls && performance.now() < untilMs) {
      const until = Math.min(calls, done + callsPerBurst);
      while (done < until) {
        const { name, fields, step } = source.next();
        const options = { step };
        const startMs = performance.now();
        log.event(name, fields, options);
        ns[done++] = (performance.now() - startMs) * 1e6;
      }
      await sleep(turnMs);
    }
    const after = log.stats();
    return {
      ns: percentiles(ns.subarray(0, done), 0),
      dropped: after.dropped.buffer_full - before.dropped.buffer_full,
      acknowledged: after.acknowledged - before.acknowledged,
      calls: after.calls,
      bufferedBytes: after.bufferedBytes,
    };
  },
  async fill({ mostSeconds }) {
    const log = started();
    const untilMs = performance.now() + mostSeconds * 1000;
    while (log.stats().dropped.buffer_full === 0) {
      if (performance.now() > untilMs) return { full: false };
      await logPaced(log, fillBurst, fillBurst);
    }
    return { full: true };
  },
  async clock({ calls }) {
    const ns = new Float64Array(calls);
    let resolutionNs = Number.POSITIVE_INFINITY;
    for (let done = 0; done < calls; done++) {
      const startMs = performance.now();
      ns[done] = (performance.now() - startMs) * 1e6;
      if (ns[done]! > 0) resolutionNs = Math.min(resolutionNs, ns[done]!);
    }
    return { ns: percentiles(ns, 0), resolutionNs };
  },
  async allocate({ samples, callsPerSample }) {
    const log = started();
    const { gc } = globalThis;
    if (gc === undefined) throw new Error('needs --expose-gc');
    const used = { heapBytes: 0, externalBytes: 0 };
    for (let sample = 0; sample < samples; sample++) {
      const events = Array.from({ length: callsPerSample }, () => {
        const { name, fields, step } = source.next();
        return { name, fields, options: { step } };
      });
      // The second finishes what the first left to sweep: array buffers would be freed within the sample.
      gc();
      gc();
      const before = process.memoryUsage();
      for (const { name, fields, options } of events) log.event(name, fields, options);
      const after = process.memoryUsage();
      used.heapBytes += after.heapUsed - before.heapUsed;
      // Array buffers are part of it.
      used.externalBytes += after.external - before.external;
      await sleep(turnMs);
    }
    const count = samples * callsPerSample;
    return { heapBytes: used.heapBytes / count, externalBytes: used.externalBytes / count };
  },
  async flush() {
    const { acknowledged } = await started().flush();
    return { acknowledged };
  },
  usage: async () => ownUsage(),
  async stop() {
    await logger?.close({ timeoutMs: 0 });
  },
};
serve(calls);

async function logPaced(log: Logger, calls: number, burst = callsPerBurst): Promise<void> {
  for (let done = 0; done < calls; ) {
    const until = Math.min(calls, done + burst);
    for (; done < until; done++) {
      const { name, fields, step } = source.next();
      log.event(name, fields, { step });
    }
    await sleep(turnMs);
  }
}
