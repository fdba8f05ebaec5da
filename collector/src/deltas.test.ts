import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areDeltas, DeltaReader, DeltaRows, walkDeltas } from './deltas.js';

/** By the words of the format, digit by digit. */
function encode(numbers: readonly bigint[], isSigned: boolean): Buffer {
  const bytes: number[] = [];
  let before = 0n;
  for (const number of numbers) {
    const difference = BigInt.asIntN(64, number - before);
    before = number;
    let left = isSigned
      ? BigInt.asUintN(64, (difference << 1n) ^ (difference >> 63n))
      : BigInt.asUintN(64, difference);
    for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
    bytes.push(Number(left));
  }
  return Buffer.from(bytes);
}

const toBig = (halves: Uint32Array): bigint[] =>
  Array.from(
    { length: halves.length / 2 },
    (_, row) => (BigInt(halves[row * 2 + 1] as number) << 32n) | BigInt(halves[row * 2] as number),
  );

/** Differences of every size, up and down, across the boundary of the halves and around zero. */
const numbers = [
  1_764_000_000_123_456_789n,
  1_764_000_000_123_456_790n,
  1_764_000_000_123_456_790n,
  1_764_000_000_123_000_000n,
  0n,
  1n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0xffff_fffen,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
  3n,
  (1n << 28n) + 3n,
  (1n << 28n) + 4n + (1n << 27n),
  (1n << 53n) + 1n,
];

test('differences of every size, up and down, are summed as integers of 64 bits', () => {
  const bytes = encode(numbers, true);
  const out = new Uint32Array(numbers.length * 2);
  const reader = new DeltaReader();
  reader.open(bytes, 0, bytes.length, true);
  reader.read(numbers.length, out, 0);
  assert.deepEqual(toBig(out), numbers);
  assert.ok(reader.isWhole);
  const ascending = [0n, 1n, 3n, 200n, 70_000n, 3_000_000_000n, 4_294_967_295n, 9_000_000_000n];
  const plain = encode(ascending, false);
  reader.open(plain, 0, plain.length, false);
  reader.read(ascending.length, out, 0);
  assert.deepEqual(toBig(out.subarray(0, ascending.length * 2)), ascending);
});

test('an array with more numbers, with fewer, or with one that is cut short or too long is not whole', () => {
  const isWhole = (bytes: Buffer, count: number): boolean => {
    const array = { bytes, start: 0, end: bytes.length, count, isSigned: true };
    return walkDeltas(array, () => true);
  };
  const bytes = encode(numbers, true);
  assert.ok(isWhole(bytes, numbers.length));
  assert.ok(!isWhole(bytes, numbers.length - 1));
  assert.ok(!isWhole(bytes, numbers.length + 1));
  assert.ok(!isWhole(bytes.subarray(0, -1), numbers.length));
  assert.ok(!isWhole(Buffer.from([0x80]), 1));
  assert.ok(!isWhole(Buffer.from([...Array(10).fill(0x80), 0]), 1));
  assert.ok(isWhole(Buffer.from([...Array(9).fill(0x80), 0]), 1));
  // What lies behind the array is not read, though it would end the number.
  const behind = Buffer.from([1, 0x80, 0]);
  assert.ok(!walkDeltas({ bytes: behind, start: 0, end: 2, count: 2, isSigned: false }, () => true));
});

test('rows are found in any order, and across chunks', () => {
  const many = Array.from(
    { length: 3000 },
    (_, row) => 1_764_000_000_000_000_000n + BigInt(row * 977 - (row % 7) * 5000),
  );
  const bytes = encode(many, true);
  const rows = new DeltaRows();
  rows.open(bytes, 0, bytes.length, many.length, true);
  const out = new Uint32Array(2 * 3000);
  for (const [from, to] of [
    [0, 3000],
    [0, 1],
    [1500, 2999],
    [2999, 3000],
    [7, 9],
    [0, 3000],
    [2998, 2999],
  ] as const) {
    rows.copy(from, to, out, 0);
    assert.deepEqual(toBig(out.subarray(0, (to - from) * 2)), many.slice(from, to), `${from}..${to}`);
  }
});

test('differences are counted without reading them, and none may be longer than allowed', () => {
  const bytes = Buffer.from([1, 0x80, 1, 0x80, 0x80, 0x80, 0x80, 1, 5]);
  assert.ok(areDeltas(bytes, 0, 9, 4, 5));
  assert.ok(!areDeltas(bytes, 0, 9, 4, 4));
  assert.ok(!areDeltas(bytes, 0, 9, 3, 5));
  assert.ok(!areDeltas(bytes, 0, 9, 5, 5));
  assert.ok(!areDeltas(bytes, 0, 7, 2, 10));
  assert.ok(areDeltas(bytes, 1, 3, 1, 10));
});
