import { performance } from 'node:perf_hooks';

/** A timer that was set; only the clock that made it can clear it. */
export type Timer = NodeJS.Timeout | number;

/** Time and timers, so that tests can hold both in their hands. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC, whole. */
  wallMs(): number;
  /** Milliseconds that only go forward, with fractions. */
  monotonicMs(): number;
  /** A timer does not keep the process alive unless `hold` is set. */
  setTimer(run: () => void, delayMs: number, hold?: boolean): Timer;
  clearTimer(timer: Timer): void;
}

// The global of that name is a getter, and the method looks who calls it: a quarter of what the time costs.
const monotonicMs = performance.now.bind(performance);

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs,
  setTimer(run, delayMs, hold = false) {
    const timer = setTimeout(run, delayMs);
    if (!hold) timer.unref();
    return timer;
  },
  clearTimer: (timer) => clearTimeout(timer),
};
