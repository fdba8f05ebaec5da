/** Events that wait for something that comes to them in order: each is one number more. */
export class Pending {
  /** How long each waited, in order. */
  readonly tookMs: number[] = [];
  readonly #startMs: number[] = [];

  get size(): number {
    return this.#startMs.length - this.tookMs.length;
  }

  add(startMs: number): void {
    this.#startMs.push(startMs);
  }

  /** It has come to the first `count` events; those that had it already are left as they are. */
  resolveThrough(count: number, nowMs: number): void {
    const until = Math.min(count, this.#startMs.length);
    while (this.tookMs.length < until) this.tookMs.push(nowMs - this.#startMs[this.tookMs.length]!);
  }
}
