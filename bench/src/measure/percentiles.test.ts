import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, percentiles } from './percentiles.js';

test('a percentile is the sample at its rank, in whatever order they came', () => {
  const samples = Array.from({ length: 1000 }, (_, index) => 1000 - index);
  assert.deepEqual(percentiles(samples, 0), { samples: 1000, p50: 500, p99: 990, p999: 999, max: 1000 });
});

test('few samples give the nearest, and none give nothing', () => {
  assert.deepEqual(percentiles([2.345, 1], 1), { samples: 2, p50: 1, p99: 2.3, p999: 2.3, max: 2.3 });
  assert.ok(Number.isNaN(percentiles([], 0).p50));
});

test('the median of an even number of samples lies between the two in the middle', () => {
  assert.equal(median([4, 1, 3]), 3);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});
