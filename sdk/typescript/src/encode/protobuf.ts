/** The few rules of Protobuf's encoding that the SDK needs (protobuf.dev/programming-guides/encoding). */

export const wireType = { varint: 0, fixed64: 1, bytes: 2 } as const;

export function tag(field: number, type: number): number {
  return (field << 3) | type;
}

/** Bytes of a varint of a whole number from 0 to 2^53. */
export function varintSize(value: number): number {
  let size = 1;
  let rest = value;
  while (rest >= 0x80) {
    rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 0x80);
    size++;
  }
  return size;
}

/** Writes a whole number from 0 to 2^53; returns the position after it. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let at = position;
  let rest = value;
  // Bit operations hold 32 bits; the few numbers beyond go the slow way until they fit.
  while (rest >= 0x8000_0000) {
    bytes[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Writes an unsigned 64-bit number; returns the position after it. Not for the hot path. */
export function writeVarint64(bytes: Uint8Array, position: number, value: bigint): number {
  let at = position;
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    bytes[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  bytes[at++] = Number(rest);
  return at;
}

/** Folds the sign into the lowest bit, as `sint64` wants it. */
export function zigzag64(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
}

/** Writes milliseconds since 1970 (whole or not, not negative) as 64 bits of nanoseconds. */
export function writeMsAsNanos(view: DataView, position: number, ms: number): void {
  splitMsAsNanos(ms, halves);
  view.setUint32(position, halves[0]!, true);
  view.setUint32(position + 4, halves[1]!, true);
}

const halves = new Uint32Array(2);
const twoTo32 = 0x1_0000_0000;

/**
 * Milliseconds since 1970 as the lower and the upper half of 64 bits of nanoseconds: the product passes 2^53 and
 * BigInt costs more than the rest of an event. Remainders are taken by subtraction, which is exact for powers of two
 * and takes half the time of the operator.
 */
export function splitMsAsNanos(ms: number, into: Uint32Array): void {
  const whole = Math.floor(ms);
  splitNanos(whole, nanosOf(ms, whole), into);
}

/** What milliseconds have beyond the whole ones, in nanoseconds. */
export function nanosOf(ms: number, whole: number): number {
  return Math.round((ms - whole) * 1e6);
}

/** The same for whole milliseconds and the nanoseconds beyond them. */
export function splitNanos(whole: number, nanos: number, into: Uint32Array): void {
  // whole = upper * 2^20 + lower, so that no product below passes 2^53.
  const wholeUpper = Math.floor(whole / 0x10_0000);
  const upper = wholeUpper * 1e6;
  const lower = (whole - wholeUpper * 0x10_0000) * 1e6 + nanos;
  // total = upper * 2^20 + lower; upper = high * 2^12 + carry.
  const high = Math.floor(upper / 0x1000);
  const low = (upper - high * 0x1000) * 0x10_0000 + lower;
  const carry = Math.floor(low / twoTo32);
  into[0] = low - carry * twoTo32;
  into[1] = high + carry;
}

/** A whole number of 64 bits, signed or not, as its lower and its upper half. */
export function splitBigInt(value: bigint, into: Uint32Array): void {
  into[0] = Number(BigInt.asUintN(32, value));
  into[1] = Number(BigInt.asUintN(32, value >> 32n));
}

/** A field of the type bytes or string, on its own. */
export function bytesField(field: number, value: Uint8Array): Uint8Array {
  const head = 1 + varintSize(value.length);
  const bytes = new Uint8Array(head + value.length);
  bytes[0] = tag(field, wireType.bytes);
  bytes.set(value, writeVarint(bytes, 1, value.length));
  return bytes;
}

/** A field of the type uint32 or uint64, on its own. */
export function varintField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(1 + varintSize(value));
  bytes[0] = tag(field, wireType.varint);
  writeVarint(bytes, 1, value);
  return bytes;
}
