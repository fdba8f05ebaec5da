/**
 * Who waits for what: each request that is appended has a ticket, tickets are settled in their order, and
 * a waiter learns the outcome once everything that was appended before it came is settled.
 */
export type SyncOutcome = 'durable' | 'failed';

interface Waiter {
  readonly ticket: number;
  readonly resolve: (outcome: SyncOutcome) => void;
}

export class Tickets {
  #appended = 0;
  #settled = 0;
  #waiters: Waiter[] = [];

  /** One more request was appended. */
  add(): void {
    this.#appended++;
  }

  /** Resolves once the fate of everything appended so far is known. */
  wait(): Promise<SyncOutcome> {
    if (this.#settled === this.#appended) return Promise.resolve('durable');
    return new Promise((resolve) => this.#waiters.push({ ticket: this.#appended, resolve }));
  }

  /** The fate of the next `count` is known. */
  settle(count: number, outcome: SyncOutcome): void {
    this.#settled += count;
    let done = 0;
    while (done < this.#waiters.length && (this.#waiters[done] as Waiter).ticket <= this.#settled) {
      (this.#waiters[done++] as Waiter).resolve(outcome);
    }
    this.#waiters.splice(0, done);
  }

  settleAll(outcome: SyncOutcome): void {
    this.settle(this.#appended - this.#settled, outcome);
  }
}
