import type { Clock } from './clock.js';

/** How far the estimate may be from the wall clock, which itself shows whole milliseconds only. */
const toleranceMs = 2;
const checkEveryMs = 1000;
/** A double of this size steps by 0.000244 ms, so this is the next one up. */
const stepMs = 0.000_25;
/** A wall clock that was set back by more than this is followed, not waited for. */
const holdBackMs = 1000;

/**
 * The time of events: milliseconds since 1970 with fractions (about 0.25 µs fine), which only go
 * forward while the wall clock is not set back by more than a second. One cheap clock call an event: the
 * monotonic clock plus an offset, which is compared with the wall clock once a second.
 */
export class EventClock {
  readonly #clock: Clock;
  #offsetMs = Number.NaN;
  #checkedMs = 0;
  #lastMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    const monotonicMs = this.#clock.monotonicMs();
    // Written so that the first call, whose offset is NaN, also lands here.
    if (!(monotonicMs - this.#checkedMs < checkEveryMs) || Number.isNaN(this.#offsetMs))
      this.#check(monotonicMs);
    const nowMs = monotonicMs + this.#offsetMs;
    if (nowMs <= this.#lastMs && this.#lastMs - nowMs < holdBackMs) this.#lastMs += stepMs;
    else this.#lastMs = nowMs;
    return this.#lastMs;
  }

  #check(monotonicMs: number): void {
    const wallMs = this.#clock.wallMs() + 0.5;
    const estimateMs = monotonicMs + this.#offsetMs;
    if (!(Math.abs(estimateMs - wallMs) <= toleranceMs)) this.#offsetMs = wallMs - monotonicMs;
    this.#checkedMs = monotonicMs;
  }
}
