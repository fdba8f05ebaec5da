/** Below this, a call into native code costs more than copying byte by byte. */
const fewBytes = 48;

/** A growing run of bytes that is kept from segment to segment, so that it soon stops growing. */
export class ByteColumn {
  bytes: Buffer;
  length = 0;

  constructor(initialBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(initialBytes);
  }

  clear(): void {
    this.length = 0;
  }

  /** Makes room for `more` bytes behind `length`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  /** Appends a string as ClickHouse writes it: its length as a varint, then its bytes. */
  appendString(source: Buffer, start: number, end: number): void {
    const size = end - start;
    this.reserve(size + 5);
    const { bytes } = this;
    let at = this.length;
    let rest = size;
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    if (size < fewBytes) {
      for (let position = start; position < end; position++) bytes[at++] = source[position] as number;
    } else {
      source.copy(bytes, at, start, end);
      at += size;
    }
    this.length = at;
  }

  /** Appends bytes as they are. */
  append(source: Buffer, start: number, end: number): void {
    this.reserve(end - start);
    if (end - start >= fewBytes) {
      this.length += source.copy(this.bytes, this.length, start, end);
      return;
    }
    const { bytes } = this;
    let at = this.length;
    for (let position = start; position < end; position++) bytes[at++] = source[position] as number;
    this.length = at;
  }

  /** The last `size` bytes again, until they are there `times` times. */
  repeat(size: number, times: number): void {
    const start = this.length - size;
    this.reserve(size * (times - 1));
    if (size > 0)
      this.bytes.fill(this.bytes.subarray(start, start + size), this.length, start + size * times);
    this.length = start + size * times;
  }

  appendEmptyStrings(count: number): void {
    this.reserve(count);
    if (count === 1) this.bytes[this.length] = 0;
    else this.bytes.fill(0, this.length, this.length + count);
    this.length += count;
  }

  appendEmptyString(): void {
    this.reserve(1);
    this.bytes[this.length++] = 0;
  }

  /** What has been appended; a view that the next `clear` makes invalid. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}
