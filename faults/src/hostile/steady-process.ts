/** Healthy clients: loggers of the real SDK that log the formula's events and time every flush. */
import { createLogger, type Logger } from '@sluice/sdk';
import { eventOf, type FormulaKey } from '../oracle/event-formula.js';
import { serve } from '../processes/serve.js';
import type { SteadyCalls } from './steady-protocol.js';

const flushTimeoutMs = 60_000;

class SteadyLogger {
  readonly key: FormulaKey;
  readonly logger: Logger;
  acknowledgedThrough = 0;
  isDone = false;
  running: Promise<void> = Promise.resolve();
  #sequence = 0;

  constructor(key: FormulaKey, logger: Logger) {
    this.key = key;
    this.logger = logger;
  }

  async run(eventsPerFlush: number, pauseMs: number): Promise<void> {
    while (!this.isDone) {
      for (let count = 0; count < eventsPerFlush; count++) {
        const { name, fields, options } = eventOf(this.key, ++this.#sequence);
        this.logger.event(name, fields, options);
      }
      const startMs = performance.now();
      const { acknowledged } = await this.logger.flush({ timeoutMs: flushTimeoutMs });
      if (acknowledged) {
        this.acknowledgedThrough = this.#sequence;
        latencies.push(performance.now() - startMs);
      } else failures++;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

let latencies: number[] = [];
let failures = 0;
let loggers: SteadyLogger[] = [];

const calls: SteadyCalls = {
  async start({ endpoint, run, encoding, loggers: count, eventsPerFlush, pauseMs }) {
    loggers = Array.from({ length: count }, (_, index) => {
      const key = { rank: index + 1, padBytes: 0, lossEvery: 0, isPlain: false };
      const logger = createLogger({
        endpoint,
        run,
        encoding,
        project: 'faults',
        job: 'steady',
        host: 'test-host',
        attempt: 0,
        rank: key.rank,
        onDiagnostic: () => {},
        backoffMinMs: 10,
        backoffMaxMs: 100,
      } as Parameters<typeof createLogger>[0]);
      return new SteadyLogger(key, logger);
    });
    for (const logger of loggers) logger.running = logger.run(eventsPerFlush, pauseMs);
    return loggers.map(({ logger, key }) => ({ producerId: logger.producerId, rank: key.rank }));
  },
  async latencies() {
    const answer = { ms: latencies, failures };
    latencies = [];
    failures = 0;
    return answer;
  },
  async finish({ timeoutMs }) {
    for (const logger of loggers) logger.isDone = true;
    return Promise.all(
      loggers.map(async ({ logger, running, acknowledgedThrough }, index) => {
        await running;
        const isDelivered = (await logger.close({ timeoutMs })).acknowledged;
        const { logged, acknowledged, dropped, resends, duplicates, lastError } = logger.stats();
        const through = (loggers[index] as SteadyLogger).acknowledgedThrough;
        return {
          producerId: logger.producerId,
          isDelivered,
          logged,
          acknowledged,
          dropped,
          resends,
          duplicates,
          lastError,
          acknowledgedThrough: Math.max(through, acknowledgedThrough),
        };
      }),
    );
  },
  async end() {},
};
serve(calls);
