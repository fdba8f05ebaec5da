/**
 * Memory for messages, used again once the log has written them: new memory costs the kernel a page at a time, and
 * V8 gives back what nobody holds only at its next collection, which is tens of mebibytes later.
 *
 * Invariants:
 * 1. A buffer is handed out to one holder at a time; who releases it looks at no view of it any more.
 * 2. One that is never released costs nothing but the new one that is made in its place.
 * 3. What is kept free is at most `keptBytes`, of the sizes that were released last.
 */
import { innerLimits } from '../limits.js';

/** Marks the memory that is handed out: what else is released, or released twice, is left alone. */
const isOut = Symbol('handed out');
type Marked = ArrayBufferLike & { [isOut]?: boolean };

const { keptBytes, leastBytes } = innerLimits.receive.memory;
const largestPower = 256 * 1024;

export class MessageMemory {
  /** Free buffers by their size. */
  readonly #free = new Map<number, Buffer[]>();
  #freeBytes = 0;

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** At least `bytes`, and less than twice as much. What it holds is anybody's. */
  take(bytes: number): Buffer {
    if (bytes < leastBytes) return Buffer.allocUnsafe(bytes);
    const size = sizeFor(bytes);
    let buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) buffer = Buffer.allocUnsafeSlow(size);
    else this.#freeBytes -= size;
    (buffer.buffer as Marked)[isOut] = true;
    return buffer;
  }

  /** The same, if there is one that is free: that costs no memory which is not there already. */
  takeKept(bytes: number): Buffer | undefined {
    return bytes >= leastBytes && (this.#free.get(sizeFor(bytes))?.length ?? 0) > 0
      ? this.take(bytes)
      : undefined;
  }

  /** Takes back what `take` gave, or any view of it. */
  release(message: Buffer): void {
    const buffer = message.buffer as Marked;
    if (buffer.byteLength < leastBytes || buffer[isOut] !== true) return;
    buffer[isOut] = false;
    const size = buffer.byteLength;
    if (size > keptBytes) return;
    this.#makeRoom(size);
    if (this.#freeBytes + size > keptBytes) return;
    const whole = message.length === size ? message : Buffer.from(buffer, 0, size);
    const list = this.#free.get(size) ?? [];
    list.push(whole);
    // Behind the others: those in front are given up first.
    this.#free.delete(size);
    this.#free.set(size, list);
    this.#freeBytes += size;
  }

  /** Gives up what is free of other sizes: messages are as large as producers make them at the moment. */
  #makeRoom(size: number): void {
    for (const [other, list] of this.#free) {
      if (other === size) continue;
      while (list.length > 0 && this.#freeBytes + size > keptBytes) {
        list.pop();
        this.#freeBytes -= other;
      }
      if (this.#freeBytes + size <= keptBytes) return;
    }
  }
}

/** Few sizes, so that what is free fits what comes: the next power of two, and of large ones a step of a quarter. */
function sizeFor(bytes: number): number {
  const power = 2 ** (32 - Math.clz32(bytes - 1));
  if (power <= largestPower) return power;
  const step = power / 8;
  return Math.ceil(bytes / step) * step;
}
