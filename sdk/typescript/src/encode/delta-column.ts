import { varintSize, writeVarint, writeVarint64, zigzag64 } from './protobuf.js';

/**
 * Numbers as they travel: each as a varint of the difference to the one before, the first to 0, in zigzag where they
 * may descend. Neighbours in a block differ by little, so most take a byte or two instead of eight.
 *
 * Invariant: all numbers of a column are appended in the same way.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */

/** No difference of 64 bits takes more. */
const mostBytes = 10;
/** Differences below this are doubled, for zigzag, within the 31 bits of a small integer. */
const smallLimit = 2 ** 29;
/** Differences below this, doubled, are exact as doubles. */
const exactLimit = 2 ** 52;
const nanosPerMs = 1_000_000;
const firstBytes = 256;

export class DeltaColumn {
  bytes = Buffer.alloc(0);
  length = 0;
  /** The number before: whole milliseconds of a time, an offset, or a step unless it is a bigint. */
  #before = 0;
  /** Of a time, the nanoseconds beyond the milliseconds. */
  #beforeNanos = 0;
  /** The step before, if that was a bigint. */
  #beforeBig: bigint | undefined;

  /** Appends a number below 2^32 that is larger than the one before, unless it is the first. */
  appendOffset(offset: number): void {
    const at = this.#room();
    const difference = offset - this.#before;
    this.#before = offset;
    if (difference < 0x80) {
      this.bytes[at] = difference;
      this.length = at + 1;
    } else this.length = writeVarint(this.bytes, at, difference);
  }

  /** Appends the nanoseconds of a time that is given in whole milliseconds and what it has beyond them. */
  appendTime(ms: number, nanos: number): void {
    // Inexact only where it is far beyond the limit: milliseconds are below 2^44.
    const difference = (ms - this.#before) * nanosPerMs + (nanos - this.#beforeNanos);
    if (difference > -exactLimit && difference < exactLimit) this.#push(difference);
    else this.#pushLarge(nanoseconds(ms, nanos) - nanoseconds(this.#before, this.#beforeNanos));
    this.#before = ms;
    this.#beforeNanos = nanos;
  }

  /** Appends a safe integer, or any of 64 bits as a bigint. */
  appendStep(step: number | bigint): void {
    if (typeof step === 'number' && this.#beforeBig === undefined) {
      const difference = step - this.#before;
      if (difference > -exactLimit && difference < exactLimit) this.#push(difference);
      else this.#pushLarge(BigInt(step) - BigInt(this.#before));
    } else this.#pushLarge(BigInt(step) - (this.#beforeBig ?? BigInt(this.#before)));
    if (typeof step === 'number') {
      this.#before = step;
      this.#beforeBig = undefined;
    } else this.#beforeBig = step;
  }

  clear(): void {
    this.length = 0;
    this.#before = 0;
    this.#beforeNanos = 0;
    this.#beforeBig = undefined;
  }

  release(): void {
    this.clear();
    this.bytes = Buffer.alloc(0);
  }

  /** Writes a whole difference between −2^52 and 2^52. */
  #push(difference: number): void {
    const at = this.#room();
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
    } else {
      this.length = writeVarint(this.bytes, at, difference >= 0 ? difference * 2 : -difference * 2 - 1);
    }
  }

  /** Modulo 2^64, as all differences are. */
  #pushLarge(difference: bigint): void {
    const at = this.#room();
    this.length = writeVarint64(this.bytes, at, zigzag64(BigInt.asIntN(64, difference)));
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
export function encodeOffsets(offsets: Uint32Array): Uint8Array {
  let size = 0;
  for (let row = 0, before = 0; row < offsets.length; row++) {
    size += varintSize(offsets[row]! - before);
    before = offsets[row]!;
  }
  const bytes = new Uint8Array(size);
  for (let row = 0, at = 0, before = 0; row < offsets.length; row++) {
    at = writeVarint(bytes, at, offsets[row]! - before);
    before = offsets[row]!;
  }
  return bytes;
}

/** The numbers of an array that `encodeOffsets` or a column wrote. */
export function readOffsets(bytes: Uint8Array, count: number): Uint32Array {
  const offsets = new Uint32Array(count);
  let offset = 0;
  for (let row = 0, at = 0; row < count; row++) {
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++]!;
      offset += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    offsets[row] = offset;
  }
  return offsets;
}

/** Some of the numbers that a column of times or steps wrote, as they travel. Not for the hot path. */
export function selectDeltas(bytes: Uint8Array, count: number, rows: readonly number[]): Uint8Array {
  const numbers = new BigInt64Array(count);
  let number = 0n;
  for (let row = 0, at = 0; row < count; row++) {
    let bits = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      bits |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    number = BigInt.asIntN(64, number + ((bits >> 1n) ^ -(bits & 1n)));
    numbers[row] = number;
  }
  const column = new DeltaColumn();
  for (const row of rows) column.appendStep(numbers[row]!);
  return column.bytes.subarray(0, column.length);
}

function nanoseconds(ms: number, nanos: number): bigint {
  return BigInt(ms) * BigInt(nanosPerMs) + BigInt(nanos);
}
