import { varintSize, writeVarint } from './protobuf.js';
import { writeText } from './text.js';

const firstBytes = 64;

/** Texts one behind the other, each with its length in front, in a buffer that is used again. */
export class TextColumn {
  bytes: Buffer = Buffer.alloc(0);
  length = 0;

  /** Appends a text whose size as UTF-8 is known. */
  append(text: string, size: number): void {
    this.#ensure(varintSize(size) + size);
    this.length = writeText(this.bytes, writeVarint(this.bytes, this.length, size), text, size);
  }

  /** Appends everything that was written so far as often as it takes to have it `times` times. */
  repeat(times: number): void {
    const unit = this.length;
    const end = unit * times;
    this.#ensure(end - unit);
    // Doubling, so that a few large copies do it.
    for (let done = unit; done < end; done = this.length) {
      this.bytes.copy(this.bytes, done, 0, Math.min(done, end - done));
      this.length = Math.min(done * 2, end);
    }
  }

  release(): void {
    this.bytes = Buffer.alloc(0);
    this.length = 0;
  }

  #ensure(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const capacity = Math.max(firstBytes, this.bytes.length * 2, this.length + more);
    const bytes = Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(bytes, 0, 0, this.length);
    this.bytes = bytes;
  }
}
