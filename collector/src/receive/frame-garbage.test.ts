import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { innerLimits } from '../limits.js';
import { FrameGarbage } from './frame-garbage.js';

const { everyBytes } = innerLimits.receive.garbage;

test('the young generation is collected once for every so many bytes, between two turns', async () => {
  let collections = 0;
  const garbage = new FrameGarbage(() => collections++);
  garbage.add(everyBytes - 1);
  await turn();
  assert.equal(collections, 0);
  for (let frame = 0; frame < 10; frame++) garbage.add(everyBytes);
  assert.equal(collections, 0, 'not in the middle of a read');
  await turn();
  assert.equal(collections, 1);
  garbage.add(everyBytes - 1);
  await turn();
  assert.equal(collections, 1);
});
