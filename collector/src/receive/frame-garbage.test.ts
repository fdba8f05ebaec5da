import assert from 'node:assert/strict';
import { test } from 'node:test';
import { innerLimits } from '../limits.js';
import { FrameGarbage } from './frame-garbage.js';

const { everyBytes } = innerLimits.receive.garbage;

test('the young generation is collected once for every so many bytes, in the middle of a turn too', () => {
  let collections = 0;
  const garbage = new FrameGarbage(() => collections++);
  garbage.add(everyBytes - 1);
  assert.equal(collections, 0);
  garbage.add(1);
  assert.equal(collections, 1);
  for (let frame = 0; frame < 80; frame++) garbage.add(everyBytes / 8);
  assert.equal(collections, 11);
});
