import { randomBytes } from 'node:crypto';
import { ByteColumn } from './byte-column.js';

/**
 * Numbers distinct byte strings from 0 in order of appearance, without making a JavaScript string of
 * any. Its keys lie in the layout in which a LowCardinality column sends its dictionary.
 */
export class Dictionary {
  readonly keys = new ByteColumn(4096);
  count = 0;
  #starts = new Uint32Array(64);
  #ends = new Uint32Array(64);
  /** Open addressing: id + 1, or 0 for an empty place. A power of two, at most half full. */
  #table = new Int32Array(256);

  clear(): void {
    this.keys.clear();
    this.count = 0;
    this.#table.fill(0);
  }

  /** The number of the bytes between `start` and `end`; a new one if they are new. */
  idOf(source: Buffer, start: number, end: number): number {
    const mask = this.#table.length - 1;
    let place = hash(source, start, end) & mask;
    for (;;) {
      const entry = this.#table[place] as number;
      if (entry === 0) return this.#add(place, source, start, end);
      if (this.equals(entry - 1, source, start, end)) return entry - 1;
      place = (place + 1) & mask;
    }
  }

  /** Whether key `id` is the bytes between `start` and `end`. */
  equals(id: number, source: Buffer, start: number, end: number): boolean {
    const keyStart = this.#starts[id] as number;
    const size = end - start;
    if ((this.#ends[id] as number) - keyStart !== size) return false;
    const { bytes } = this.keys;
    for (let index = 0; index < size; index++) {
      if (bytes[keyStart + index] !== source[start + index]) return false;
    }
    return true;
  }

  idOfText(text: string): number {
    const bytes = Buffer.from(text);
    return this.idOf(bytes, 0, bytes.length);
  }

  /** The bytes of key `id`; a view. */
  key(id: number): Buffer {
    return this.keys.bytes.subarray(this.#starts[id], this.#ends[id]);
  }

  #add(place: number, source: Buffer, start: number, end: number): number {
    const id = this.count++;
    if (id === this.#starts.length) {
      this.#starts = grow(this.#starts);
      this.#ends = grow(this.#ends);
    }
    this.keys.appendString(source, start, end);
    this.#ends[id] = this.keys.length;
    this.#starts[id] = this.keys.length - (end - start);
    this.#table[place] = id + 1;
    if (this.count * 2 > this.#table.length) this.#rehash();
    return id;
  }

  #rehash(): void {
    const table = new Int32Array(this.#table.length * 2);
    const mask = table.length - 1;
    for (let id = 0; id < this.count; id++) {
      let place = hash(this.keys.bytes, this.#starts[id] as number, this.#ends[id] as number) & mask;
      while (table[place] !== 0) place = (place + 1) & mask;
      table[place] = id + 1;
    }
    this.#table = table;
  }
}

/** Secrets of this process, so that nobody can send keys that all fall into one place. */
const [seed, multiplier] = ((): [number, number] => {
  const random = randomBytes(8);
  return [random.readInt32LE(0), random.readInt32LE(4) | 1];
})();

/** Multiply and fold, byte by byte, in the manner of FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). */
function hash(source: Buffer, start: number, end: number): number {
  let value = seed;
  for (let position = start; position < end; position++) {
    value = Math.imul(value ^ (source[position] as number), multiplier);
    value ^= value >>> 15;
  }
  return value;
}

function grow(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(array.length * 2);
  grown.set(array);
  return grown;
}
