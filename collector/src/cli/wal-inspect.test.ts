import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { encodeFrameHeader, encodeSegmentPayload, frameSeed, frameType } from '../wal/frame.js';
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
  const report = describeSegment(id, damaged);
  assert.equal(report.state, 'damaged');
  assert.equal(report.nextStart, 'reports the rest, keeps the file aside');
  assert.equal(describeSegment(id, whole.subarray(20)).state, 'unreadable');
});

test('what a damaged segment lost stands in the one behind it', () => {
  const damaged = golden();
  damaged[damaged.indexOf('train.step')] = 0;
  const key = Buffer.from('01930000000070008000000000000001', 'hex').toString('latin1');
  const durable = {
    logTimeMs: 6000,
    previousId: id,
    entries: [{ key, sequence: 4, previousSequence: 0, lastSeenMs: 5000 }],
  };
  const report = describeSegment(id, damaged, [{ id: '019343f2-5d01-7000-8000-000000000001', durable }]);
  assert.deepEqual(report.lost, [
    { producerId: '01930000-0000-7000-8000-000000000001', firstSequence: 1, lastSequence: 4 },
  ]);
});

test('a log of another version is named', () => {
  const payload = encodeSegmentPayload(id, 1_732_000_000_000);
  payload.write('1', 7, 'latin1');
  const header = encodeFrameHeader(frameType.segment, { seed: frameSeed(id), offset: 0 }, [payload]);
  const report = describeSegment(id, Buffer.concat([header, payload]));
  assert.equal(report.state, 'foreign');
  assert.equal(report.nextStart, 'refuses to start');
});
