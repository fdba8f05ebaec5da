/** Clocks and timers that move when the test says so. */
import type { Timers } from '../wal/timers.js';

export class VirtualTime implements Timers {
  /** Milliseconds since the start. */
  elapsedMs = 0;
  #due: { readonly atMs: number; readonly callback: () => void }[] = [];

  readonly now = (): number => 1_760_000_000_000 + this.elapsedMs;

  after(ms: number, callback: () => void): () => void {
    const entry = { atMs: this.elapsedMs + ms, callback };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  advance(ms: number): void {
    this.elapsedMs += ms;
    const due = this.#due.filter(({ atMs }) => atMs <= this.elapsedMs);
    this.#due = this.#due.filter(({ atMs }) => atMs > this.elapsedMs);
    for (const { callback } of due) callback();
  }

  /** The process that set them is gone. */
  forgetTimers(): void {
    this.#due = [];
  }
}
