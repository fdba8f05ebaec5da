import assert from 'node:assert/strict';
import { test } from 'node:test';
import { internalLimits } from '../limits.js';
import type { LossRange } from './loss.js';
import { ReleasedLosses } from './released-losses.js';

const loss = (first: number, count = 1): LossRange => ({ first, count, reason: 'buffer_full', timeMs: 0 });

test('released losses are remembered in a thousand ranges at most, neighbours together', () => {
  const { releasedLossRanges: most } = internalLimits;
  const range = (count: number, first: (index: number) => number): LossRange[] =>
    Array.from({ length: count }, (_, index) => loss(first(index)));
  const released = new ReleasedLosses();
  released.add(range(5000, (index) => 1 + index));
  released.add(range(most - 1, (index) => 6000 + 2 * index));
  assert.deepEqual(released.takeFrom(6002)[0], loss(6002));
  assert.deepEqual(released.takeFrom(100_000), []);
  assert.deepEqual(released.takeFrom(4000), [loss(4000, 1001), loss(6000)]);
  released.add([loss(4000)]);
  assert.deepEqual(released.takeFrom(1), [loss(1, 4000)]);
  released.add(range(most + 2, (index) => 2 + 2 * index));
  const remembered = released.takeFrom(1);
  assert.deepEqual([remembered.length, remembered[0]], [most, loss(6)]);
});
