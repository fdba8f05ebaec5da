/**
 * Numbers that travel as differences: the arrays `sequence_delta`, `time_delta` and `step_delta` of an
 * `EventBlock`. Each is a varint, in zigzag where it may be negative; the sum, modulo 2^64, is the number.
 *
 * Invariants:
 * 1. Reading never goes beyond the array, whatever its bytes are; `isWhole` says afterwards whether it held just
 *    the numbers that were read.
 * 2. Rows that are read in ascending order cost a walk along the array, and so does going back to the first; any
 *    other order costs one more, and memory for the numbers.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */
import { Cursor } from './protobuf.js';

/** A number beyond ten bytes a varint is none; the most that an array of so many can take. */
export const mostDeltaBytes = 10;

const cursor = new Cursor();

export class DeltaReader {
  #bytes: Uint8Array = new Uint8Array(0);
  #position = 0;
  #end = 0;
  #isSigned = false;
  #low = 0;
  #high = 0;
  #isBroken = false;

  /** Starts at the first number of the array between `start` and `end`. */
  open(bytes: Buffer, start: number, end: number, isSigned: boolean): void {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    this.#isSigned = isSigned;
    this.#low = 0;
    this.#high = 0;
    this.#isBroken = false;
  }

  /** Whether the numbers that were read are all that the array holds, and it held so many. */
  get isWhole(): boolean {
    return !this.#isBroken && this.#position === this.#end;
  }

  /** Reads the next `count` numbers into `out`, from `at` on: low half, high half, low half, high half. */
  read(count: number, out: Uint32Array, at: number): void {
    const bytes = this.#bytes;
    const isSigned = this.#isSigned;
    const last = at + count * 2;
    /** Up to here a number is in the array whole, however long it is. */
    const safe = this.#end - mostDeltaBytes;
    let pair = at;
    while (pair < last) {
      let position = this.#position;
      let low = this.#low;
      let high = this.#high;
      // Nearly every difference takes one byte or two.
      for (; pair < last && position <= safe; pair += 2) {
        let bits = bytes[position] as number;
        if (bits < 0x80) position++;
        else {
          const second = bytes[position + 1] as number;
          if (second >= 0x80) break;
          bits = (bits & 0x7f) | (second << 7);
          position += 2;
        }
        const difference = isSigned ? (bits >>> 1) ^ -(bits & 1) : bits;
        const sum = (low + difference) | 0;
        if (difference >= 0) {
          if (sum >>> 0 < low >>> 0) high = (high + 1) | 0;
        } else if (sum >>> 0 > low >>> 0) high = (high - 1) | 0;
        low = sum;
        out[pair] = low;
        out[pair + 1] = high;
      }
      this.#position = position;
      this.#low = low;
      this.#high = high;
      if (pair === last) return;
      this.#next();
      out[pair] = this.#low;
      out[pair + 1] = this.#high;
      pair += 2;
    }
  }

  /** The next number, whatever it is, and whether or not it is there. */
  #next(): void {
    cursor.reset(this.#bytes as Buffer, this.#position, this.#end);
    cursor.varint64();
    if (cursor.problem !== '') this.#isBroken = true;
    this.#position = cursor.position;
    const sign = this.#isSigned ? -(cursor.low & 1) : 0;
    const low = this.#isSigned ? ((cursor.low >>> 1) | (cursor.high << 31)) ^ sign : cursor.low;
    const high = this.#isSigned ? (cursor.high >>> 1) ^ sign : cursor.high;
    const sum = (this.#low + low) | 0;
    this.#high = (this.#high + high + (sum >>> 0 < this.#low >>> 0 ? 1 : 0)) | 0;
    this.#low = sum;
  }
}

/** Numbers of a chunk, while somebody looks at them: half a page of the fastest cache. */
const chunkRows = 1024;
const skipped = new Uint32Array(chunkRows * 2);

/** The numbers of one array by row. Not for arrays whose numbers nobody has counted (see validate/). */
export class DeltaRows {
  readonly #reader = new DeltaReader();
  #bytes: Buffer | undefined;
  #start = 0;
  #end = 0;
  #count = 0;
  #isSigned = false;
  /** The row that the reader reads next. */
  #next = 0;
  /** All of them, from the first step back on. */
  #all: Uint32Array | undefined;

  open(bytes: Buffer, start: number, end: number, count: number, isSigned: boolean): void {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#count = count;
    this.#isSigned = isSigned;
    this.#all = undefined;
    this.#restart();
  }

  /** Rows from..to into `out`, from `at` on, in halves. */
  copy(from: number, to: number, out: Uint32Array, at: number): void {
    if (this.#all === undefined && from < this.#next) {
      this.#restart();
      if (from > 0) {
        this.#all = new Uint32Array(this.#count * 2);
        this.#reader.read(this.#count, this.#all, 0);
      }
    }
    if (this.#all !== undefined) {
      for (let half = from * 2, place = at; half < to * 2; half++, place++) {
        out[place] = this.#all[half] as number;
      }
      return;
    }
    for (let left = from - this.#next; left > 0; left -= chunkRows) {
      this.#reader.read(Math.min(left, chunkRows), skipped, 0);
    }
    this.#reader.read(to - from, out, at);
    this.#next = to;
  }

  #restart(): void {
    this.#next = 0;
    this.#reader.open(this.#bytes as Buffer, this.#start, this.#end, this.#isSigned);
  }
}

/**
 * Whether an array holds just `count` differences that each take at most `mostBytes`, without a look at what they are:
 * a tenth of what reading them costs.
 */
export function areDeltas(
  bytes: Buffer,
  start: number,
  end: number,
  count: number,
  mostBytes: number,
): boolean {
  let ends = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    if (++length > mostBytes) return false;
    if ((bytes[at] as number) < 0x80) {
      ends++;
      length = 0;
    }
  }
  return ends === count && length === 0;
}

/** Calls `look` with the numbers of an array, a chunk at a time; says whether it holds just `count` of them. */
export function walkDeltas(
  array: { bytes: Buffer; start: number; end: number; count: number; isSigned: boolean },
  look: (halves: Uint32Array, rows: number, firstRow: number) => boolean,
): boolean {
  const { bytes, start, end, count, isSigned } = array;
  reader.open(bytes, start, end, isSigned);
  for (let row = 0; row < count; row += chunkRows) {
    const rows = Math.min(chunkRows, count - row);
    reader.read(rows, chunk, 0);
    if (!look(chunk, rows, row)) return true;
  }
  return reader.isWhole;
}

const reader = new DeltaReader();
const chunk = new Uint32Array(chunkRows * 2);
