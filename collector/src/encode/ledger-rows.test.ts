import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSegment } from '../testing/segments.js';
import { producerId } from '../testing/wire.js';
import { jsonEachRow } from './ledger-rows.js';
import { quarantinedLossRows, quarantinePieces } from './quarantine-rows.js';
import { SegmentIndex } from './segment-index.js';

const textOf = (values: Record<string, unknown>): string =>
  Buffer.concat(jsonEachRow([{ values }])).toString();

test('half characters become U+FFFD in rows, and nothing that looks like one is touched', () => {
  const sound = { a: '🚀 \\ud83d \\\\ud83d "', b: 'grüße', c: 7, labels: { '\\udead': 'x' } };
  assert.deepEqual(JSON.parse(textOf(sound)), sound);
  assert.deepEqual(
    JSON.parse(textOf({ a: 'x\ud83d', b: '\\\ude80 \\ud83d', labels: { 'k\ud83d': '\udfff' } })),
    {
      a: 'x\ufffd',
      b: '\\\ufffd \\ud83d',
      labels: { 'k\ufffd': '\ufffd' },
    },
  );
});

test('an error that is cut in the middle of a character is cut before it', () => {
  const id = '019343f2-5d00-7000-8000-000000000001';
  const segment = makeSegment(id, [
    { producer: { id: producerId(1) }, first_sequence: '1', events: [{ body: 'x' }] },
  ]);
  const message = `${'x'.repeat(999)}🚀`;
  const pieces = quarantinePieces(segment, new SegmentIndex(), [
    { from: 0, to: 1, refusal: { code: 469, message } },
  ]);
  const text = Buffer.concat(jsonEachRow(quarantinedLossRows(segment, pieces))).toString();
  assert.equal(text.includes('\\ud'), false);
  assert.match(text, /x\ufffd"/);
});
