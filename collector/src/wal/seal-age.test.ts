import assert from 'node:assert/strict';
import { test } from 'node:test';
import { walLimits } from '../limits.js';
import { sealAgeMs } from './seal-age.js';

const empty = { eventCount: 0, ledgerRows: 0, bytes: 0 };

test('a segment that holds little waits for more', () => {
  assert.equal(sealAgeMs({ eventCount: 9_999, ledgerRows: 0, bytes: 1000 }, walLimits), 10_000);
});

test('enough rows or enough bytes end the wait, and losses are rows', () => {
  assert.equal(sealAgeMs({ ...empty, eventCount: 10_000 }, walLimits), 1000);
  assert.equal(sealAgeMs({ ...empty, eventCount: 9_000, ledgerRows: 1_000 }, walLimits), 1000);
  assert.equal(sealAgeMs({ ...empty, eventCount: 1, bytes: walLimits.segmentSmallBytes }, walLimits), 1000);
});
