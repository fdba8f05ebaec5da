import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { describeSegment } from './wal-inspect.js';

const id = '019343f2-5d00-7000-8000-000000000001';
const golden = (): Buffer =>
  Buffer.from(
    readFileSync(
      fileURLToPath(new URL('../../src/wal/golden/one-segment.wal.hex', import.meta.url)),
      'latin1',
    ).replace(/\s/g, ''),
    'hex',
  );

test('a sealed segment is described with its producers and their ranges', () => {
  const report = describeSegment(id, golden());
  assert.equal(report.state, 'sealed');
  assert.equal(report.events, 2);
  assert.equal(report.rejections, 1);
  assert.equal(report.nextStart, 'inserts it unless it is committed');
  assert.deepEqual(report.producers, [
    {
      producerId: '01930000-0000-7000-8000-000000000001',
      project: 'gpt2',
      runId: 'run-1',
      rank: 1,
      firstSequence: 1,
      lastSequence: 4,
      requests: 1,
    },
  ]);
});

test('a torn tail, damage in the middle and a file without its first frames are told apart', () => {
  const whole = golden();
  assert.equal(describeSegment(id, whole.subarray(0, whole.length - 3)).state, 'torn');
  const damaged = Buffer.from(whole);
  const at = damaged.indexOf('train.step');
  damaged[at] = 0;
  assert.equal(describeSegment(id, damaged).state, 'damaged');
  assert.equal(describeSegment(id, damaged).nextStart, 'keeps a copy aside, removes it');
  assert.equal(describeSegment(id, whole.subarray(20)).state, 'unreadable');
});
