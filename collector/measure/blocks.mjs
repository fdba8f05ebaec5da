/**
 * What does an event of a block cost at the door and in the encoder, without anything around them?
 *
 * Method: a segment of 130,000 events in 10 requests of 5 blocks, 4 metrics, a step and one attribute that is the same in
 * all events of a block, as the bench logs them. Each part is run 20 times to be compiled, then 100 times, and the CPU of
 * the process (user and system) is divided by the events. `interleaved` is the encoder for 10 producers with one key whose
 * events lie between each other's, so that every row leaves alone.
 *
 * node collector/measure/blocks.mjs, after npm run build
 */
import { crc32 } from 'node:zlib';
import { SegmentEncoder } from '../dist/encode/encode-segment.js';
import { messageLimits } from '../dist/limits.js';
import { differences, text } from '../dist/testing/blocks.js';
import { makeSegment } from '../dist/testing/segments.js';
import { encodeRequest, producerId } from '../dist/testing/wire.js';
import { scanRequest } from '../dist/validate/scan-request.js';

const names = ['train.step', 'train.optimizer', 'train.eval', 'train.speed', 'gpu.memory'];
const segmentId = '019343f2-5d00-7000-8000-000000000001';

function request(producer, first, rows, jitter) {
  const blocks = names.map((name, place) => {
    const offsets = Array.from({ length: rows }, (_, row) => row * names.length + place);
    const at = (offset) => 1_700_000_000_000_000_000n + BigInt((first + offset) * 1000 + jitter());
    return {
      name,
      count: rows,
      sequence_delta: offsets.map((offset, row) => offset - (offsets[row - 1] ?? 0)),
      time_delta: differences(offsets.map(at)),
      step_delta: differences(offsets.map((offset) => BigInt(first + offset))),
      metric_name: ['loss', 'lr', 'norm', 'tokens'].map((key) => `${key}_${place}`),
      metric: Array.from({ length: rows * 4 }, () => Math.round(Math.random() * 1e5) / 1e4),
      attribute_name: ['source'],
      attribute: text('track_1_short--2024-'),
    };
  });
  return {
    producer: { id: producerId(producer), project: 'p', run_id: 'r', host: `h${producer}` },
    first_sequence: String(first),
    blocks,
  };
}

function measure(name, events, rounds, run) {
  for (let round = 0; round < rounds / 5; round++) run();
  const before = process.cpuUsage();
  for (let round = 0; round < rounds; round++) run();
  const { user, system } = process.cpuUsage(before);
  console.log(`${name.padEnd(24)} ${((user + system) / rounds / events).toFixed(4)} µs an event`);
}

const encoder = new SegmentEncoder();
const requests = Array.from({ length: 10 }, (_, index) => request(1, index * 13_000 + 1, 2600, () => 0));
const bytes = requests.map(encodeRequest);
const ordered = makeSegment(segmentId, requests);
const events = ordered.eventCount;
console.log(`${(ordered.bytes.length / events).toFixed(1)} bytes an event on the wire`);
measure('door (scanRequest)', events, 100, () => {
  for (const one of bytes) if (scanRequest(one, messageLimits).kind !== 'scanned') throw new Error('refused');
});
measure('checksum (crc32)', events, 100, () => crc32(ordered.bytes));
measure('encoder, in order', events, 100, () => encoder.encode(ordered));
const block = encoder.encode(ordered);
console.log(`${(block.bytes / block.rows).toFixed(1)} bytes an event in the Native block`);
const crowd = Array.from({ length: 100 }, (_, index) =>
  request((index % 10) + 1, Math.floor(index / 10) * 1250 + 1, 250, () => Math.floor(Math.random() * 990)),
);
const interleaved = makeSegment(segmentId, crowd);
measure('encoder, interleaved', interleaved.eventCount, 20, () => encoder.encode(interleaved));
