/**
 * How many inserts the bisection of one segment may take. A table that refuses nearly everything would
 * make every segment take all of them, and the log would grow faster than it is emptied: a segment that
 * has spent its allowance leaves the next one a quarter of it, one that has not gives it back.
 */
import { innerLimits } from '../limits.js';
export class BisectionAllowance {
  readonly #most: number;
  #inserts: number;

  /** @param most what a segment gets to begin with */
  constructor(most: number) {
    this.#most = most;
    this.#inserts = most;
  }

  get inserts(): number {
    return this.#inserts;
  }

  /** @param isSpent whether a segment would have needed more */
  settle(isSpent: boolean): void {
    this.#inserts = isSpent
      ? Math.max(Math.floor(this.#inserts / 4), Math.min(least, this.#most))
      : Math.min(this.#inserts * 4, this.#most);
  }
}

const { leastBisectionInserts: least } = innerLimits.commit;
