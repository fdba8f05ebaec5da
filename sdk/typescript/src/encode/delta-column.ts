import { splitBigInt, varintSize, writeVarint, writeVarint64, zigzag64 } from './protobuf.js';

/**
 * Numbers as they travel: each as a varint of the difference to the one before, the first to 0, in zigzag where they
 * may descend. Neighbours in a block differ by little, so most take a byte or two instead of eight.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */

/** No difference of 64 bits takes more. */
const mostBytes = 10;
/** Differences below this are doubled, for zigzag, within the 31 bits of a small integer. */
const smallLimit = 2 ** 29;
/** Differences below this, doubled, are exact as doubles. */
const exactLimit = 2 ** 52;
const twoTo32 = 0x1_0000_0000;
const firstBytes = 256;

export class DeltaColumn {
  bytes = Buffer.alloc(0);
  length = 0;
  /** The number before, as the halves of 64 bits. */
  #low = 0;
  #high = 0;

  /** Appends a number that is larger than the one before, unless it is the first, and below 2^32. */
  appendAscending(value: number): void {
    const at = this.#room();
    const difference = value - this.#low;
    this.#low = value;
    if (difference < 0x80) {
      this.bytes[at] = difference;
      this.length = at + 1;
    } else this.length = writeVarint(this.bytes, at, difference);
  }

  /** Appends a number of 64 bits by its halves, of which the sign, if it has one, is in the upper one. */
  append(low: number, high: number): void {
    const at = this.#room();
    // Exact below 2^52, and what is beyond that is not taken for less.
    const difference = (high - this.#high) * twoTo32 + (low - this.#low);
    if (difference > -smallLimit && difference < smallLimit) {
      const { bytes } = this;
      let rest = difference >= 0 ? difference << 1 : (-difference << 1) - 1;
      let end = at;
      while (rest >= 0x80) {
        bytes[end++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      bytes[end++] = rest;
      this.length = end;
    } else if (difference > -exactLimit && difference < exactLimit) {
      const zigzag = difference >= 0 ? difference * 2 : -difference * 2 - 1;
      this.length = writeVarint(this.bytes, at, zigzag);
    } else this.#appendLarge(at, low, high);
    this.#low = low;
    this.#high = high;
  }

  clear(): void {
    this.length = 0;
    this.#low = 0;
    this.#high = 0;
  }

  release(): void {
    this.clear();
    this.bytes = Buffer.alloc(0);
  }

  #appendLarge(at: number, low: number, high: number): void {
    const value = joined(low, high);
    const difference = BigInt.asIntN(64, value - joined(this.#low, this.#high));
    this.length = writeVarint64(this.bytes, at, zigzag64(difference));
  }

  /** Where the next number is written; there is room for any. */
  #room(): number {
    const { length } = this;
    if (length + mostBytes > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(firstBytes, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, length));
      this.bytes = grown;
    }
    return length;
  }
}

/** Ascending numbers as they travel. Not for the hot path. */
export function encodeAscending(numbers: Uint32Array): Uint8Array {
  let size = 0;
  for (let row = 0, before = 0; row < numbers.length; row++) {
    size += varintSize(numbers[row]! - before);
    before = numbers[row]!;
  }
  const bytes = new Uint8Array(size);
  for (let row = 0, at = 0, before = 0; row < numbers.length; row++) {
    at = writeVarint(bytes, at, numbers[row]! - before);
    before = numbers[row]!;
  }
  return bytes;
}

/** The numbers of an array that `encodeAscending` or a column wrote. */
export function readAscending(bytes: Uint8Array, count: number): Uint32Array {
  const numbers = new Uint32Array(count);
  let number = 0;
  for (let row = 0, at = 0; row < count; row++) {
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++]!;
      number += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    numbers[row] = number;
  }
  return numbers;
}

/** Some of the numbers of 64 bits that a column wrote, as they travel. Not for the hot path. */
export function selectDeltas(bytes: Uint8Array, count: number, rows: readonly number[]): Uint8Array {
  const numbers = new BigUint64Array(count);
  let number = 0n;
  for (let row = 0, at = 0; row < count; row++) {
    let bits = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      bits |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    number = BigInt.asUintN(64, number + ((bits >> 1n) ^ -(bits & 1n)));
    numbers[row] = number;
  }
  const column = new DeltaColumn();
  for (const row of rows) {
    splitBigInt(numbers[row]!, halves);
    column.append(halves[0]!, halves[1]!);
  }
  return column.bytes.subarray(0, column.length);
}

const halves = new Uint32Array(2);

function joined(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
