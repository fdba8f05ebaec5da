/**
 * Numbers of dictionary entries, one a row, in the narrowest of 1, 2 and 4 bytes that holds them: the
 * layout in which a LowCardinality column sends its indexes. Nearly every dictionary has at most 256 keys.
 */
type Indexes = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

export class IndexColumn {
  /** How the Native format names the width: 0 is UInt8, 1 UInt16, 2 UInt32. */
  type: 0 | 1 | 2 = 0;
  indexes: Indexes;
  length = 0;

  constructor(rows = 1024) {
    this.indexes = new Uint8Array(rows);
  }

  clear(): void {
    this.length = 0;
    // Back to the narrow form; wide ones are rare, and cost their conversion only when they are needed.
    if (this.type !== 0) {
      this.indexes = new Uint8Array(this.indexes.length);
      this.type = 0;
    }
  }

  reserve(more: number): void {
    const needed = this.length + more;
    if (needed > this.indexes.length) this.#become(this.type, Math.max(needed, this.indexes.length * 2));
  }

  /** There must be room: see `reserve`. */
  push(id: number): void {
    if (id > widest[this.type]) this.#become(id > 0xffff ? 2 : 1, this.indexes.length);
    this.indexes[this.length++] = id;
  }

  /** The same number `count` times. */
  pushTimes(id: number, count: number): void {
    if (count === 0) return;
    this.reserve(count);
    this.push(id);
    if (count === 1) return;
    this.indexes.fill(id, this.length, this.length + count - 1);
    this.length += count - 1;
  }

  /** The last `size` numbers again, until they are there `times` times. */
  repeat(size: number, times: number): void {
    const start = this.length - size;
    const end = start + size * times;
    this.reserve(end - this.length);
    let filled = this.length;
    while (filled < end) {
      const chunk = Math.min(filled - start, end - filled);
      this.indexes.copyWithin(filled, start, start + chunk);
      filled += chunk;
    }
    this.length = end;
  }

  /** As it is sent; a view. */
  view(): Buffer {
    return Buffer.from(this.indexes.buffer, 0, this.length * this.indexes.BYTES_PER_ELEMENT);
  }

  #become(type: 0 | 1 | 2, size: number): void {
    const used = this.indexes.subarray(0, this.length);
    this.indexes =
      type === 0 ? new Uint8Array(size) : type === 1 ? new Uint16Array(size) : new Uint32Array(size);
    this.indexes.set(used);
    this.type = type;
  }
}

const widest = [0xff, 0xffff, 0xffffffff] as const;
