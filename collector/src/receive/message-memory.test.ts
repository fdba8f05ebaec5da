import assert from 'node:assert/strict';
import { test } from 'node:test';
import { innerLimits } from '../limits.js';
import { MessageMemory } from './message-memory.js';

const { keptBytes } = innerLimits.receive.memory;

test('a buffer that was released is handed out again, to one holder', () => {
  const memory = new MessageMemory();
  const first = memory.take(100_000);
  assert.ok(first.length >= 100_000 && first.length < 200_000, String(first.length));
  memory.release(first.subarray(5, 90_000));
  const second = memory.take(100_001);
  assert.equal(second.buffer, first.buffer);
  assert.equal(second.byteOffset, 0);
  assert.notEqual(memory.take(100_000).buffer, first.buffer);
});

test('what is released twice, or was never handed out, is left alone', () => {
  const memory = new MessageMemory();
  const buffer = memory.take(100_000);
  memory.release(buffer);
  const free = memory.freeBytes;
  memory.release(buffer);
  memory.release(Buffer.allocUnsafeSlow(buffer.length));
  memory.release(Buffer.from('small'));
  assert.equal(memory.freeBytes, free);
});

test('no more than a bound is kept free', () => {
  const memory = new MessageMemory();
  const buffers = Array.from({ length: 100 }, () => memory.take(1024 * 1024));
  for (const buffer of buffers) memory.release(buffer);
  assert.ok(memory.freeBytes <= keptBytes && memory.freeBytes > keptBytes / 2, String(memory.freeBytes));
});

test('sizes that nobody asks for any more make room for those that are released now', () => {
  const memory = new MessageMemory();
  const fill = (bytes: number): void => {
    const buffers = Array.from({ length: keptBytes / bytes }, () => memory.take(bytes));
    for (const buffer of buffers) memory.release(buffer);
  };
  fill(16 * 1024);
  fill(64 * 1024);
  assert.ok(memory.freeBytes <= keptBytes && memory.freeBytes > keptBytes / 2, String(memory.freeBytes));
  assert.notEqual(memory.takeKept(64 * 1024), undefined);
  assert.equal(memory.takeKept(16 * 1024), undefined);
});

test('a buffer that is larger than all that is kept takes nothing from the others', () => {
  const memory = new MessageMemory();
  memory.release(memory.take(100_000));
  const free = memory.freeBytes;
  memory.release(memory.take(keptBytes + 1));
  assert.equal(memory.freeBytes, free);
});
