import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestMemory } from './request-memory.js';

const KiB = 1024;

test('memory that was given back is taken again for a request of about its size', () => {
  const memory = new RequestMemory(1024 * KiB);
  const first = memory.take(700 * KiB - 5);
  assert.equal(first.length, 700 * KiB - 5);
  memory.give(first);
  const second = memory.take(690 * KiB);
  assert.equal(second.length, 690 * KiB);
  assert.equal(second.buffer, first.buffer);
  assert.notEqual(memory.take(690 * KiB).buffer, first.buffer);
});

test('memory is not taken for a request that is much smaller or larger', () => {
  const memory = new RequestMemory(1024 * KiB);
  const given = memory.take(512 * KiB);
  memory.give(given);
  for (const size of [300 * KiB, 513 * KiB]) assert.notEqual(memory.take(size).buffer, given.buffer);
  assert.equal(memory.bytes, 512 * KiB);
});

test('memory is at most an eighth larger than the request', () => {
  const memory = new RequestMemory(8192 * KiB);
  for (const size of [65_536, 65_537, 100_000, 700_001, 1_048_577, 4_000_001]) {
    const taken = memory.take(size);
    assert.equal(taken.length, size);
    assert.ok(taken.buffer.byteLength <= size * 1.125, `${taken.buffer.byteLength} bytes for ${size}`);
    memory.give(taken);
  }
});

test('no more is kept than is allowed, the youngest first', () => {
  const memory = new RequestMemory(1024 * KiB);
  const given = [500, 500, 500].map((size) => memory.take(size * KiB));
  for (const one of given) memory.give(one);
  assert.ok(memory.bytes <= 1024 * KiB, `${memory.bytes} bytes`);
  assert.equal(memory.take(500 * KiB).buffer, given[1]?.buffer);
});

test('what is from elsewhere is not kept, a whole pool of the job included, nor what comes back twice', () => {
  const memory = new RequestMemory(1024 * KiB);
  memory.give(Buffer.alloc(300 * KiB).subarray(5));
  memory.give(Buffer.allocUnsafeSlow(300 * KiB));
  memory.give(Buffer.from('small'));
  assert.equal(memory.bytes, 0);
  const taken = memory.take(300 * KiB);
  memory.give(taken);
  memory.give(taken);
  assert.equal(memory.bytes, taken.buffer.byteLength);
});
