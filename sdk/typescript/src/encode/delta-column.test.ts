import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeltaColumn, encodeOffsets, readOffsets, selectDeltas } from './delta-column.js';

/** Reads differences by the words of the format. */
function decode(bytes: Uint8Array): bigint[] {
  const numbers: bigint[] = [];
  let number = 0n;
  for (let at = 0; at < bytes.length; ) {
    let bits = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      bits |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    number += (bits >> 1n) ^ -(bits & 1n);
    numbers.push(BigInt.asIntN(64, number));
  }
  return numbers;
}

function columnOf(numbers: readonly bigint[]): Uint8Array {
  const column = new DeltaColumn();
  // As a logger gives them: a bigint only where a number would not be exact.
  for (const number of numbers)
    column.appendStep(Number.isSafeInteger(Number(number)) ? Number(number) : number);
  return column.bytes.subarray(0, column.length);
}

/** Steps of every size, at the limits of each way to write them. */
const numbers = [0n, 1n, 0n, -1n, -(1n << 63n), (1n << 63n) - 1n, 0n];
for (let bits = 1n; bits < 63n; bits++) {
  const size = 1n << bits;
  numbers.push(size - 1n, size, -1n, -size, size + 1n, 0n);
}

test('numbers of 64 bits come back exact, however far they lie apart', () => {
  assert.deepEqual(decode(columnOf(numbers)), numbers);
});

test('times come back exact to the nanosecond, and may descend', () => {
  const times = [
    1_764_000_000_123_456_789n,
    1_764_000_000_123_456_790n,
    1n,
    1_764_000_000_000_000_000n,
    (1n << 63n) - 1n,
  ];
  const column = new DeltaColumn();
  for (const time of times) column.appendTime(Number(time / 1_000_000n), Number(time % 1_000_000n));
  assert.deepEqual(decode(column.bytes.subarray(0, column.length)), times);
});

test('a difference takes as few bytes as possible', () => {
  const sizes = [0n, 63n, -1n, 8191n, (1n << 29n) - 1n, 1n << 29n].map(
    (difference) => columnOf([difference]).length,
  );
  assert.deepEqual(sizes, [1, 1, 1, 2, 5, 5]);
  assert.equal(columnOf([-(1n << 63n)]).length, 10);
});

test('ascending numbers of 32 bits come back exact', () => {
  const ascending = Uint32Array.from([0, 1, 127, 128, 300, 20_000, 3_000_000_000, 4_294_967_295]);
  const column = new DeltaColumn();
  for (const number of ascending) column.appendOffset(number);
  const bytes = column.bytes.subarray(0, column.length);
  assert.deepEqual(encodeOffsets(ascending), Uint8Array.from(bytes));
  assert.deepEqual(readOffsets(bytes, ascending.length), ascending);
});

test('some rows of a column are what a column of them alone would be', () => {
  const rows = numbers.map((_, row) => row).filter((row) => row % 3 !== 1);
  const selected = selectDeltas(columnOf(numbers), numbers.length, rows);
  assert.deepEqual(Buffer.from(selected), Buffer.from(columnOf(rows.map((row) => numbers[row]!))));
});
