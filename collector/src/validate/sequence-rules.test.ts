import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeSequence } from './sequence-rules.js';

test('a producer that the log does not know may start anywhere', () => {
  assert.deepEqual(judgeSequence(0, 1, 10), { kind: 'append' });
  assert.deepEqual(judgeSequence(0, 501, 510), { kind: 'append' });
});

test('a request right after the last one is appended', () => {
  assert.deepEqual(judgeSequence(10, 11, 11), { kind: 'append' });
});

test('a request that lies wholly within what the log has is a duplicate', () => {
  assert.deepEqual(judgeSequence(10, 1, 10), { kind: 'duplicate' });
  assert.deepEqual(judgeSequence(10, 4, 5), { kind: 'duplicate' });
});

test('a hole is refused with the sequence to go on from', () => {
  assert.deepEqual(judgeSequence(10, 12, 20), { kind: 'refuse', expectedSequence: 11 });
});

test('a request that overlaps in part is refused with the sequence to go on from', () => {
  assert.deepEqual(judgeSequence(10, 5, 11), { kind: 'refuse', expectedSequence: 11 });
});
