/**
 * The statements that run, by their query id, and how one of them is ended.
 *
 * The engine gives every statement an id of its own, so the client's id travels in `log_comment`:
 * its first word, which is what KILL QUERY WHERE query_id = … is rewritten to look at.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from './engine.js';
import { exception } from './exceptions.js';
import { quoteString } from './prelude.js';

/** The client's query id of a row of `system.processes`, as SQL. */
export const queryIdExpression = "splitByChar(' ', Settings['log_comment'])[1]";

/** A kill may arrive before the statement is listed; it is repeated until the statement has ended. */
const killAgainMs = 50;

export class Running {
  readonly #engine: Engine;
  readonly #ids = new Set<string>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Reserves the id; what is returned gives it back. Two statements never run under one id. */
  register(queryId: string): () => void {
    if (this.#ids.has(queryId)) {
      throw exception(
        'QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING',
        `Query with id = ${queryId.slice(0, 200)} is already running`,
      );
    }
    this.#ids.add(queryId);
    return () => this.#ids.delete(queryId);
  }

  /** Ends the statement marked `mark`; resolves when `outcome` has. */
  async kill(mark: string, outcome: Promise<unknown>): Promise<void> {
    let ended = false;
    const end = outcome.then(
      () => {
        ended = true;
      },
      () => {
        ended = true;
      },
    );
    const connection = this.#engine.connect();
    try {
      while (!ended) {
        await connection.run(`KILL QUERY WHERE ${queryIdExpression} = ${quoteString(mark)}`, 'Null');
        await Promise.race([end, delay(killAgainMs)]);
      }
    } finally {
      await connection.close();
    }
  }
}
