/**
 * How many statements run at the same time. More wait in order of arrival; more than may wait are
 * refused, so that a crowd costs its members time and never the store its memory.
 */
import { exception } from './exceptions.js';

export type Lane = 'read' | 'insert';
export type Release = () => void;

interface Waiter {
  readonly admit: () => void;
  readonly signal: AbortSignal;
}

export class Admission {
  readonly #places: Record<Lane, number>;
  readonly #queues: Record<Lane, Waiter[]> = { read: [], insert: [] };
  readonly #waitingLimit: number;

  constructor(limits: { concurrentReads: number; concurrentInserts: number; waiting: number }) {
    this.#places = { read: limits.concurrentReads, insert: limits.concurrentInserts };
    this.#waitingLimit = limits.waiting;
  }

  get waiting(): number {
    return this.#queues.read.length + this.#queues.insert.length;
  }

  /** Resolves when the statement may run; rejects when too many wait, or when `signal` gives up. */
  async enter(lane: Lane, signal: AbortSignal): Promise<Release> {
    signal.throwIfAborted();
    if (this.#places[lane] > 0) {
      this.#places[lane] -= 1;
    } else {
      if (this.waiting >= this.#waitingLimit) {
        throw exception(
          'TOO_MANY_SIMULTANEOUS_QUERIES',
          `Too many simultaneous queries: ${this.waiting} wait, ${this.#waitingLimit} may (embedded.waiting)`,
        );
      }
      await this.#wait(lane, signal);
    }
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.#queues[lane].shift();
      if (next === undefined) this.#places[lane] += 1;
      else next.admit();
    };
  }

  #wait(lane: Lane, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        const queue = this.#queues[lane];
        queue.splice(queue.indexOf(waiter), 1);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        signal,
        admit: () => {
          signal.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#queues[lane].push(waiter);
    });
  }
}
