/** The loggers of one process, filled together and counted together. */
import { createLogger, type Diagnostic, type Logger, type LoggerOptions } from '@sluice/sdk';
import { sum } from '../measure/figures.js';
import type { SdkOptions } from './protocol.js';

/** Asking loggers costs CPU that is measured, so hundreds are asked less often; little is logged in so short a time. */
const askEveryMs = { few: 5, many: 20 };
const fewLoggers = 16;

export interface GroupCounts {
  readonly acknowledged: number;
  readonly dropped: number;
  /** Requests that were sent again. */
  readonly resends: number;
  readonly lastError: string | undefined;
}

export class LoggerGroup {
  readonly loggers: readonly Logger[];
  readonly #told = new Set<string>();
  #bufferedBytes = 0;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor({ endpoint, project, run, firstRank, loggers, encoding }: SdkOptions) {
    this.loggers = Array.from({ length: loggers }, (_, index) => {
      const options: LoggerOptions & { encoding?: 'rows' | undefined } = {
        endpoint,
        project,
        run,
        rank: firstRank + index,
        job: 'bench',
        onDiagnostic: (diagnostic) => this.#tell(diagnostic),
        ...(encoding && { encoding }),
      };
      return createLogger(options);
    });
  }

  /** What all of them hold unacknowledged; of many loggers, a few milliseconds old. */
  bufferedBytes(): number {
    const nowMs = performance.now();
    const everyMs = this.loggers.length <= fewLoggers ? askEveryMs.few : askEveryMs.many;
    if (this.loggers.length === 1 || nowMs - this.#askedMs >= everyMs) {
      this.#askedMs = nowMs;
      this.#bufferedBytes = 0;
      for (const logger of this.loggers) this.#bufferedBytes += logger.stats().bufferedBytes;
    }
    return this.#bufferedBytes;
  }

  counts(): GroupCounts {
    const stats = this.loggers.map((logger) => logger.stats());
    return {
      acknowledged: sum(stats.map(({ acknowledged }) => acknowledged)),
      dropped: sum(stats.map(({ dropped }) => sum(Object.values(dropped)))),
      resends: sum(stats.map(({ resends }) => resends)),
      lastError: stats.find(({ lastError }) => lastError !== undefined)?.lastError,
    };
  }

  async flush(timeoutMs: number): Promise<void> {
    await Promise.all(this.loggers.map((logger) => logger.flush({ timeoutMs })));
  }

  async close(): Promise<void> {
    await Promise.all(this.loggers.map((logger) => logger.close()));
  }

  /** Hundreds of loggers have the same to say; the counters tell how often. */
  #tell({ kind, message }: Diagnostic): void {
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    console.error(`sdk: ${kind}: ${message}`);
  }
}
