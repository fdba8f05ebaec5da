import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pending } from './pending.js';

test('each event waits from its own start until the count reaches it', () => {
  const pending = new Pending();
  pending.add(100);
  pending.add(110);
  pending.resolveThrough(1, 150);
  pending.resolveThrough(1, 170);
  assert.equal(pending.size, 1);
  pending.add(160);
  pending.resolveThrough(9, 200);
  assert.deepEqual(pending.tookMs, [50, 90, 40]);
  assert.equal(pending.size, 0);
});
