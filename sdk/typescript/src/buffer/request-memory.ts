/**
 * Memory of requests that were acknowledged, for those that are sealed next. A megabyte that is new for each request
 * lives until its acknowledgment, so that the collector of garbage has to look through the job's whole heap for it: that
 * took a quarter of the SDK's CPU under full load.
 *
 * Invariants:
 * 1. What is given back is referred to by nobody: it was handed to one call, which was acknowledged. Only what was taken
 *    here is kept: a buffer from elsewhere may share its memory with the job's own.
 * 2. At most `mostBytes` lie here, beside `bufferBytes`. Memory that is taken is at most an eighth larger than asked for.
 */

/** Smaller requests are made anew: they cost little. */
const leastBytes = 64 * 1024;
/** Sizes are rounded up, so that a request finds the memory of one that was a little smaller. */
const slackShare = 1 / 8;

export class RequestMemory {
  readonly #mostBytes: number;
  readonly #free: ArrayBuffer[] = [];
  /** What was taken and has not come back. */
  readonly #out = new WeakSet<ArrayBuffer>();
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Bytes that lie here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A buffer of just that size, with any content. */
  take(size: number): Buffer {
    if (size < leastBytes || size > this.#mostBytes) return Buffer.allocUnsafeSlow(size);
    const most = size * (1 + slackShare);
    const index = this.#free.findIndex(({ byteLength }) => byteLength >= size && byteLength <= most);
    let memory: ArrayBuffer;
    if (index < 0) {
      memory = Buffer.allocUnsafeSlow(roundedUp(size)).buffer as ArrayBuffer;
    } else {
      memory = this.#free.splice(index, 1)[0]!;
      this.#bytes -= memory.byteLength;
    }
    this.#out.add(memory);
    return Buffer.from(memory, 0, size);
  }

  /** Takes back memory that nobody refers to any more; what is from elsewhere is left alone. */
  give(request: Buffer): void {
    const buffer = request.buffer as ArrayBuffer;
    if (!this.#out.delete(buffer)) return;
    // The oldest goes: it may be of a size that no request has any more.
    while (this.#free.length > 0 && this.#bytes + buffer.byteLength > this.#mostBytes) {
      this.#bytes -= this.#free.shift()!.byteLength;
    }
    if (this.#bytes + buffer.byteLength > this.#mostBytes) return;
    this.#free.push(buffer);
    this.#bytes += buffer.byteLength;
  }
}

/** To a whole number of pages, and of sixteenths of the power of two below, which is half the slack at most. */
function roundedUp(size: number): number {
  const step = Math.max(4096, 2 ** Math.floor(Math.log2(size)) / 16);
  return Math.ceil(size / step) * step;
}
