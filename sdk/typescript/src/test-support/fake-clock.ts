import type { Clock, Timer } from '../clock.js';

/** Time that stands still until the test moves it. */
export class FakeClock implements Clock {
  nowMs = 1_700_000_000_000;
  readonly #timers = new Map<number, { atMs: number; run: () => void }>();
  #nextId = 1;

  wallMs(): number {
    return Math.floor(this.nowMs);
  }

  monotonicMs(): number {
    return this.nowMs - 1_699_999_000_000;
  }

  setTimer(run: () => void, delayMs: number): Timer {
    const id = this.#nextId++;
    this.#timers.set(id, { atMs: this.nowMs + Math.max(0, delayMs), run });
    return id;
  }

  clearTimer(timer: Timer): void {
    this.#timers.delete(timer as number);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Runs what is due within the time, in order; promises settle in between. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settle();
    for (let due = this.#due(endMs); due !== undefined; due = this.#due(endMs)) {
      const [id, timer] = due;
      this.#timers.delete(id);
      this.nowMs = Math.max(this.nowMs, timer.atMs);
      timer.run();
      await settle();
    }
    this.nowMs = endMs;
  }

  #due(endMs: number): [number, { atMs: number; run: () => void }] | undefined {
    let due: [number, { atMs: number; run: () => void }] | undefined;
    for (const entry of this.#timers) {
      if (entry[1].atMs <= endMs && (due === undefined || entry[1].atMs < due[1].atMs)) due = entry;
    }
    return due;
  }
}

/** Lets promise reactions run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}
