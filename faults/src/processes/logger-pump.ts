/**
 * One logger of the real SDK that logs the formula's events, and says which of them are acknowledged.
 *
 * A number is told only after a flush() that began after its event was logged has succeeded. With a
 * spool that means: it is acknowledged, or in a file that outlives the process.
 */
import { createLogger, type Logger, type LoggerOptions } from '@sluice/sdk';
import { eventOf, type FormulaKey } from '../oracle/event-formula.js';
import type { LoggerFinal } from './protocol.js';

const flushTimeoutMs = 120_000;
/** With a spool nothing waits for a collector that is away. */
const spooledFlushTimeoutMs = 100;

export class LoggerPump {
  readonly key: FormulaKey;
  readonly #logger: Logger;
  readonly #hasSpool: boolean;
  readonly #onAcknowledged: (producerId: string, through: number) => void;
  #sequence = 0;
  #told = 0;
  #isDone = false;

  constructor(
    key: FormulaKey,
    options: LoggerOptions,
    onAcknowledged: (producerId: string, through: number) => void,
  ) {
    this.key = key;
    this.#onAcknowledged = onAcknowledged;
    this.#hasSpool = options.spoolDir !== undefined;
    this.#logger = createLogger({ ...options, rank: key.rank, onDiagnostic: () => {} });
  }

  get producerId(): string {
    return this.#logger.producerId;
  }

  get stats(): ReturnType<Logger['stats']> {
    return this.#logger.stats();
  }

  log(events: number): void {
    for (let count = 0; count < events; count++) {
      // The SDK numbers its calls as we do: every call uses up one number, whatever becomes of it.
      const { name, fields, options } = eventOf(this.key, ++this.#sequence);
      this.#logger.event(name, fields, options);
    }
  }

  /** Flushes again and again, after pauses that `pauseMs` chooses, until `finish`. */
  async flushLoop(pauseMs: () => number): Promise<void> {
    while (!this.#isDone) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs()));
      if (!this.#isDone && this.#sequence > this.#told)
        await this.#flush(this.#hasSpool ? spooledFlushTimeoutMs : flushTimeoutMs);
    }
  }

  async finish(timeoutMs: number): Promise<LoggerFinal> {
    this.#isDone = true;
    const isDelivered = await this.#flush(timeoutMs);
    await this.#logger.close({ timeoutMs: 1000 });
    const { logged, acknowledged, dropped, resends, duplicates, lastError } = this.#logger.stats();
    return {
      producerId: this.producerId,
      isDelivered,
      logged,
      acknowledged,
      dropped,
      resends,
      duplicates,
      lastError,
    };
  }

  async #flush(timeoutMs: number): Promise<boolean> {
    const through = this.#sequence;
    const { acknowledged, pending, spooled } = await this.#logger.flush({ timeoutMs });
    if ((acknowledged || pending === spooled) && through > this.#told) {
      this.#told = through;
      this.#onAcknowledged(this.producerId, through);
    }
    return acknowledged;
  }
}
