/** The format on disk may not change by accident: FORMAT.md describes it, this file holds it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MemoryStorage } from '../testing/memory-storage.js';
import { encodeRequest, producerId } from '../testing/wire.js';
import { isWhole, readSegment } from './segment-reader.js';
import { SegmentWriter } from './segment-writer.js';

const id = '019343f2-5d00-7000-8000-000000000001';
const previousId = '019343f2-5c00-7000-8000-000000000000';
const goldenEntry = {
  key: producerId(9).toString('latin1'),
  sequence: 4_294_967_296,
  previousSequence: 4_294_967_290,
  lastSeenMs: 4000,
};
const golden = fileURLToPath(new URL('../../src/wal/golden/one-segment.wal.hex', import.meta.url));

async function writeSegment(): Promise<Buffer> {
  const storage = new MemoryStorage();
  const writer = await SegmentWriter.create(storage, id, 1_732_000_000_000, {
    logTimeMs: 5000,
    previousId,
    entries: [goldenEntry],
  });
  const producer = encodeRequest({
    producer: { id: producerId(1), project: 'gpt2', run_id: 'run-1', rank: 1 },
  });
  const index = writer.addProducer(producerId(1), producer.subarray(2), 0);
  writer.addRequest(
    index,
    {
      receivedUnixMs: 1_732_000_000_001,
      firstSequence: 1,
      lastSequence: 4,
      eventCount: 2,
      lossCount: 2,
      ledgerRows: 2,
      expansionBytes: 0,
      rejections: [{ sequence: 4, reason: 8, detail: 'severity_number is 99' }],
    },
    encodeRequest({
      first_sequence: '1',
      events: [{ name: 'train.step', step: '1', metrics: { loss: 2.5 } }, { severity_number: 99 }],
      losses: [{ first_sequence: '2', count: '2', reason: 'LOSS_REASON_BUFFER_FULL' }],
    }),
  );
  await writer.sync();
  await writer.seal();
  return storage.files.get(`${id}.wal`)?.bytes as Buffer;
}

test('a segment is written as the golden one, byte for byte', async () => {
  const bytes = await writeSegment();
  if (process.env['SLUICE_WRITE_GOLDEN'] === '1') {
    writeFileSync(golden, `${bytes.toString('hex').replace(/.{96}/g, '$&\n')}\n`);
  }
  assert.deepEqual(bytes, readGolden());
});

test('the golden segment reads back as what FORMAT.md says it holds', () => {
  const bytes = readGolden();
  const reading = readSegment(bytes, id);
  assert.equal(reading.opened, true);
  assert.equal(reading.sealed, true);
  assert.equal(reading.unreadBytes, 0);
  assert.deepEqual(reading.durable, {
    logTimeMs: 5000,
    previousId,
    entries: [goldenEntry],
  });
  assert.equal(reading.producers.length, 1);
  const [request] = reading.requests;
  assert.ok(request);
  assert.deepEqual(
    { ...request, start: 0, end: 0 },
    {
      producerIndex: 0,
      receivedUnixMs: 1_732_000_000_001,
      firstSequence: 1,
      lastSequence: 4,
      eventCount: 2,
      lossCount: 2,
      rejections: [{ sequence: 4, reason: 8, detail: 'severity_number is 99' }],
      start: 0,
      end: 0,
    },
  );
});

test('a bit flipped anywhere in a segment never yields a request that was not written', () => {
  const bytes = readGolden();
  const [whole] = readSegment(bytes, id).requests;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    const reading = readSegment(flipped, id);
    assert.equal(isWhole(reading), false, `bit ${bit} went unseen`);
    for (const request of reading.requests) assert.deepEqual(request, whole);
  }
});

test('a segment under another name does not pass: frames are tied to their segment', () => {
  const reading = readSegment(readGolden(), '019343f2-5d00-7000-8000-000000000002');
  assert.equal(reading.opened, false);
  assert.equal(reading.requests.length, 0);
});

function readGolden(): Buffer {
  return Buffer.from(readFileSync(golden, 'latin1').replace(/\s/g, ''), 'hex');
}
