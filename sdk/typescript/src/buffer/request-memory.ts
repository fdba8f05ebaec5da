/**
 * Memory of requests that were acknowledged, for those that are sealed next. A megabyte that is new for each request
 * lives until its acknowledgment, so that the collector of garbage has to look through the job's whole heap for it: that
 * took a third of the SDK's CPU under full load.
 *
 * Invariants:
 * 1. What is given back is referred to by nobody: it was handed to one call, which was acknowledged.
 * 2. At most `mostBytes` lie here, beside `bufferBytes`. Memory that is taken is at most a step larger than asked for.
 */

/** Smaller requests are made anew: they cost little. */
const leastBytes = 64 * 1024;
/** Sizes are rounded up to this, so that a request finds the memory of one that was a little smaller. */
const stepBytes = 64 * 1024;
/** How much larger than asked for memory may be. */
const mostSlackBytes = 2 * stepBytes;

export class RequestMemory {
  readonly #mostBytes: number;
  readonly #free: ArrayBuffer[] = [];
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
    const fits = ({ byteLength }: ArrayBuffer): boolean =>
      byteLength >= size && byteLength - size <= mostSlackBytes;
    const index = this.#free.findIndex(fits);
    if (index < 0) {
      const rounded = Math.ceil(size / stepBytes) * stepBytes;
      return Buffer.allocUnsafeSlow(rounded).subarray(0, size);
    }
    const [found] = this.#free.splice(index, 1);
    this.#bytes -= found!.byteLength;
    return Buffer.from(found!, 0, size);
  }

  /** Takes memory back that nobody refers to any more; it may be from elsewhere. */
  give({ buffer, byteOffset }: Buffer): void {
    // What shares its memory with others, as small buffers do, is none to give.
    if (byteOffset !== 0 || buffer.byteLength < leastBytes || !(buffer instanceof ArrayBuffer)) return;
    // The oldest goes: it may be of a size that no request has any more.
    while (this.#free.length > 0 && this.#bytes + buffer.byteLength > this.#mostBytes) {
      this.#bytes -= this.#free.shift()!.byteLength;
    }
    if (this.#bytes + buffer.byteLength > this.#mostBytes) return;
    this.#free.push(buffer);
    this.#bytes += buffer.byteLength;
  }
}
