/** Lets so many bytes a second through, over all who ask, each in turn and in small pieces. */
import { pause } from './deadline.js';

/** Time's worth of bytes that may be saved up. */
const burstMs = 50;

export class Throttle {
  /** Infinity: no limit. May be changed at any time. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  #freeAtMs = 0;

  /** Resolves when `bytes` more may pass. */
  async take(bytes: number): Promise<void> {
    if (this.bytesPerSecond === Number.POSITIVE_INFINITY) return;
    const nowMs = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs - burstMs) + (bytes / this.bytesPerSecond) * 1000;
    if (this.#freeAtMs > nowMs) await pause(this.#freeAtMs - nowMs);
  }
}
