/**
 * How often producers are asked to end their calls. A call costs a fifth of a millisecond of CPU on both sides
 * whatever it carries, so few producers are answered soon, and many gather for longer.
 *
 * Invariants:
 * 1. As long as producers follow it, no more than `callsPerSecond` calls end in a second, unless `mostCallAgeMs` is
 *    reached.
 * 2. Producers that began together are not asked for the same age, so that they do not call together for ever.
 */
export interface PaceLimits {
  readonly callsPerSecond: number;
  readonly leastCallAgeMs: number;
  readonly mostCallAgeMs: number;
}

/** The share of an age that differs from answer to answer. */
const spread = 1 / 4;
/** Steps of it: the golden ratio's multiples fill an interval evenly, however many are taken. */
const goldenStep = (Math.sqrt(5) - 1) / 2;

export class CallPace {
  readonly #limits: PaceLimits;
  readonly #monotonic: () => number;
  /** Twice the longest age: whoever follows it has a call in each, late as it may be. */
  readonly #epochMs: number;
  /** As many producers as change anything. */
  readonly #most: number;
  #epochEndMs: number;
  #current = new Set<string>();
  #previous = 0;
  #phase = 0;

  constructor(limits: PaceLimits, monotonic: () => number) {
    this.#limits = limits;
    this.#monotonic = monotonic;
    this.#epochMs = 2 * limits.mostCallAgeMs;
    this.#most = Math.ceil((limits.mostCallAgeMs * limits.callsPerSecond) / 1000);
    this.#epochEndMs = monotonic() + this.#epochMs;
  }

  /** A call of this producer is answered. Returns the age that it is told for its next one. */
  answer(producerKey: string): number {
    const nowMs = this.#monotonic();
    if (nowMs >= this.#epochEndMs) {
      this.#previous = nowMs < this.#epochEndMs + this.#epochMs ? this.#current.size : 0;
      this.#current = new Set();
      this.#epochEndMs = nowMs + this.#epochMs;
    }
    if (this.#current.size < this.#most) this.#current.add(producerKey);
    const { callsPerSecond, leastCallAgeMs, mostCallAgeMs } = this.#limits;
    const producers = Math.max(this.#current.size, this.#previous);
    const ageMs = Math.min(Math.max((producers * 1000) / callsPerSecond, leastCallAgeMs), mostCallAgeMs);
    this.#phase = (this.#phase + goldenStep) % 1;
    // Around the age that is meant, so that invariant 1 holds on average.
    return Math.round(ageMs * (1 + spread * (this.#phase - 0.5)));
  }
}
