/** Lets so many bytes a second through, over all who ask, each in turn and in small pieces. */
import { pause } from './deadline.js';

/** Time's worth of bytes that may be saved up: as long as this process, or the store behind it, may have to wait for a
 * busy machine, whose fault is then not taken for that of whoever sends. */
const burstMs = 1000;
const pieceBytes = 4096;

export class Throttle {
  /** Infinity: no limit. May be changed at any time. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  #freeAtMs = 0;

  /** Resolves when `bytes` more may pass; at once when the limit is lifted meanwhile. */
  async take(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; left -= pieceBytes) {
      if (this.bytesPerSecond === Number.POSITIVE_INFINITY) return;
      const nowMs = performance.now();
      const pieceMs = (Math.min(left, pieceBytes) / this.bytesPerSecond) * 1000;
      this.#freeAtMs = Math.max(this.#freeAtMs, nowMs - burstMs) + pieceMs;
      if (this.#freeAtMs > nowMs) await pause(this.#freeAtMs - nowMs);
    }
  }
}
