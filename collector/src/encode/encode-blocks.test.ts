/** A request of blocks must become the very bytes that the same events become as row events. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSync } from '@grpc/proto-loader';
import { type LogRequest, loaderOptions, protoPath } from '@sluice/proto';
import type { EventRange, SegmentContents } from '../record.js';
import { toBlocks } from '../testing/blocks.js';
import { makeSegment } from '../testing/segments.js';
import { producerId } from '../testing/wire.js';
import { SegmentEncoder } from './encode-segment.js';
import { quarantinePieces, quarantineRows } from './quarantine-rows.js';
import { SegmentIndex } from './segment-index.js';
import { segmentPart } from './segment-part.js';

const segmentId = '019343f2-5d00-7000-8000-000000000001';
const seed = Number(process.env['SLUICE_TEST_SEED'] ?? 20261127);

/** Mulberry32 (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c). */
function randomOf(start: number): (below: number) => number {
  let state = start | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

interface Wanted {
  /** Times that step back, and the same time in several events. */
  readonly isUnordered?: boolean;
  readonly hasRejections?: boolean;
  readonly hasLosses?: boolean;
  /** Whether producers share project, run and rank. */
  readonly isOneKey?: boolean;
}

function randomRequests(random: (below: number) => number, wanted: Wanted): LogRequest[] {
  const next = [1, 5_000_000_000, 1];
  let clock = 1_700_000_000_000_000_000n;
  return Array.from({ length: 1 + random(12) }, () => {
    const who = random(3);
    const first = next[who] as number;
    const events = Array.from({ length: 1 + random(60) }, () => {
      const shape = random(6);
      clock += BigInt(1 + random(1000));
      const time = wanted.isUnordered && random(3) === 0 ? clock - BigInt(random(5000)) : clock;
      return {
        name: ['train.step', 'eval', '', 'gpu', 'größe', 'log'][shape] as string,
        time_unix_nano: shape === 3 && random(4) === 0 ? '0' : String(time),
        ...(shape !== 2 && { step: String(random(1000) - 500) }),
        ...(random(5) === 0 && { severity_number: wanted.hasRejections && random(2) === 0 ? 77 : 17 }),
        ...(shape === 4 && { body: 'text '.repeat(random(60)) }),
        metrics: Object.fromEntries(
          Array.from({ length: shape }, (_, key) => [
            `metric-${key}`,
            random(7) === 0 ? Number.NaN : random(1e6) / 7,
          ]),
        ),
        attributes: Object.fromEntries(
          Array.from({ length: shape % 3 }, (_, key) => [
            `attribute-${key}`,
            key === 0 ? 'shared' : 'x'.repeat(random(300)),
          ]),
        ),
        ...(shape === 5 && {
          trace_id: Buffer.alloc(16, random(256)),
          span_id: Buffer.alloc(8, random(256)),
        }),
      };
    });
    const losses =
      wanted.hasLosses && random(2) === 0
        ? [{ first_sequence: String(first + random(2)), count: '3', reason: 'LOSS_REASON_CLOSED' as const }]
        : [];
    next[who] = first + events.length + losses.length * 3;
    return {
      producer: {
        id: producerId(who + 1),
        project: 'p',
        run_id: wanted.isOneKey ? 'r' : `r${who % 2}`,
        rank: wanted.isOneKey ? 0 : who,
        job: `job-${who}`,
      },
      first_sequence: String(first),
      events,
      losses,
    };
  });
}

function encode(segment: SegmentContents, range?: EventRange): Buffer {
  const part = range && segmentPart(segmentId, range);
  return Buffer.concat(new SegmentEncoder().encode(segment, part).chunks);
}

for (const [name, wanted] of Object.entries({
  'in order': {},
  'whose times step back': { isUnordered: true },
  'between losses': { hasLosses: true },
  'of producers with one key': { isOneKey: true },
  'of producers with one key whose times step back': { isOneKey: true, isUnordered: true, hasLosses: true },
})) {
  test(`blocks of events ${name} become the same Native block as row events (seed ${seed})`, () => {
    for (let round = 0; round < 60; round++) {
      const requests = randomRequests(randomOf(seed + round), wanted);
      const rows = encode(makeSegment(segmentId, requests));
      const blocks = encode(makeSegment(segmentId, requests.map(toBlocks)));
      assert.ok(rows.equals(blocks), `round ${round}`);
    }
  });
}

/** Producer, number and bytes of each event in the order of the log. */
function logOrder(segment: SegmentContents, range?: EventRange): string[] {
  const index = new SegmentIndex();
  index.scan(segment, range);
  assert.equal(index.entries, index.count);
  return Array.from(
    { length: index.count },
    (_, entry) =>
      `${segment.requests[index.requests[entry] as number]?.producerIndex}:${index.sequences[entry]}:${index.eventBytes(entry).toString('latin1')}`,
  );
}

test(`rejected events of blocks are left out, and parts cut blocks anywhere (seed ${seed})`, () => {
  for (let round = 0; round < 40; round++) {
    const random = randomOf(seed + 1000 + round);
    const requests = randomRequests(random, {
      hasRejections: true,
      hasLosses: true,
      isUnordered: round % 2 === 0,
    });
    const segment = makeSegment(segmentId, requests.map(toBlocks));
    const events = segment.requests.reduce((sum, one) => sum + one.eventCount - one.rejections.length, 0);
    const all = logOrder(segment);
    assert.equal(all.length, events);
    const cuts = [0, random(events + 1), random(events + 1), events].sort((a, b) => a - b);
    for (let cut = 1; cut < cuts.length; cut++) {
      const range = { from: cuts[cut - 1] as number, to: cuts[cut] as number };
      assert.deepEqual(logOrder(segment, range), all.slice(range.from, range.to));
      const index = new SegmentIndex();
      index.build(segment, range);
      assert.equal(index.count, range.to - range.from);
      // The rows of a part are those of its events, whatever their order.
      assert.equal(new SegmentEncoder().encode(segment, segmentPart(segmentId, range)).rows, index.count);
    }
    const asRows = makeSegment(segmentId, requests);
    assert.ok(encode(asRows).equals(encode(segment)), `round ${round}`);
  }
});

test(`quarantine keeps the events of blocks as row events with all their fields (seed ${seed})`, () => {
  const decode = loadSync(protoPath, loaderOptions)['sluice.v1.EventCollector'] as unknown as {
    LogOnce: { requestDeserialize(bytes: Buffer): LogRequest };
  };
  const requests = randomRequests(randomOf(seed + 5), { hasLosses: true });
  const segment = makeSegment(segmentId, requests.map(toBlocks));
  const found = new Map<string, unknown>();
  const index = new SegmentIndex();
  const refusal = { code: 1, message: 'no' };
  const pieces = quarantinePieces(segment, index, [{ from: 0, to: segment.eventCount, refusal }]);
  for (const row of quarantineRows(segment, index, pieces)) {
    const request = decode.LogOnce.requestDeserialize(Buffer.from(String(row.values['request']), 'base64'));
    for (const [at, event] of (request.events ?? []).entries()) {
      found.set(`${row.values['producer_id']}:${Number(request.first_sequence) + at}`, event);
    }
  }
  assert.equal(found.size, segment.eventCount);
  const rows = makeSegment(segmentId, requests);
  const wanted = new SegmentIndex();
  const rowPieces = quarantinePieces(rows, wanted, [{ from: 0, to: rows.eventCount, refusal }]);
  for (const row of quarantineRows(rows, wanted, rowPieces)) {
    const request = decode.LogOnce.requestDeserialize(Buffer.from(String(row.values['request']), 'base64'));
    for (const [at, event] of (request.events ?? []).entries()) {
      const key = `${row.values['producer_id']}:${Number(request.first_sequence) + at}`;
      // An absent severity is written out: 0 means 9 in both.
      const given = event.severity_number === 0 ? { ...event, severity_number: 9 } : event;
      assert.deepEqual(found.get(key), given, key);
    }
  }
});

function manyRows(rows: number, more: (row: number) => object): LogRequest {
  const events = Array.from({ length: rows }, (_, row) => ({ name: 'n', ...more(row) }));
  return {
    producer: { id: producerId(1), project: 'p', run_id: 'r' },
    first_sequence: '1',
    events,
  };
}

test('a block whose times descend is encoded as fast as one whose times ascend', () => {
  const request = manyRows(60_000, (row) => ({
    time_unix_nano: String(1_700_000_000_000_000_000n - BigInt(row)),
    body: `text ${row}`,
    attributes: { a: `a ${row}`, b: 'b' },
  }));
  const segment = makeSegment(segmentId, [toBlocks(request)]);
  const before = process.cpuUsage();
  const blocks = encode(segment);
  const tookMs = process.cpuUsage(before).user / 1000;
  assert.ok(blocks.equals(encode(makeSegment(segmentId, [request]))));
  assert.ok(tookMs < 3000, `${Math.round(tookMs)} ms`);
});

test('a request of many blocks and many rejected events is indexed at once', () => {
  const blocks = Array.from({ length: 10_000 }, (_, index) => ({
    name: `n${index}`,
    count: 2,
    sequence_delta: [index * 2, 1],
    time_delta: ['1', String(BigInt.asIntN(64, (1n << 63n) - 1n))],
  }));
  const segment = makeSegment(segmentId, [
    { producer: { id: producerId(1) }, first_sequence: String(2 ** 53 - 20_000), blocks },
  ]);
  assert.equal(segment.requests[0]?.rejections.length, 10_000);
  const before = process.cpuUsage();
  const index = new SegmentIndex();
  index.build(segment);
  assert.equal(index.count, 10_000);
  const tookMs = process.cpuUsage(before).user / 1000;
  assert.ok(tookMs < 2000, `${Math.round(tookMs)} ms`);
});

test('blocks of which nothing is stored leave nothing in the index', () => {
  const names = Array.from({ length: 1025 }, (_, key) => `k${key}`);
  const block = (offset: number) => ({
    name: 'n',
    count: 1,
    sequence_delta: [offset],
    time_delta: ['1'],
    metric_name: names,
    metric: names.map(() => 1),
  });
  const segment = makeSegment(segmentId, [
    {
      producer: { id: producerId(1) },
      first_sequence: '1',
      blocks: [block(0), { ...block(1), metric_name: ['m'], metric: [1] }, block(2)],
    },
  ]);
  const index = new SegmentIndex();
  index.build(segment);
  assert.deepEqual([index.count, index.views.length, index.sequences[0]], [1, 1, 2]);
  assert.equal(new SegmentEncoder().encode(segment).rows, 1);
});

test('a key that comes twice in a row event keeps its last value behind blocks with many keys', () => {
  const key = (name: string, value: number) => {
    const entry = Buffer.alloc(2 + name.length + 9);
    entry.set([0x0a, name.length, ...Buffer.from(name), 0x11]);
    entry.writeDoubleLE(value, 2 + name.length + 1);
    return Buffer.concat([Buffer.from([0x32, entry.length]), entry]);
  };
  const blockOf = (prefix: string, keys: number, offset: number) => ({
    name: 'a',
    count: 1,
    sequence_delta: [offset],
    time_delta: ['1'],
    metric_name: Array.from({ length: keys }, (_, index) => `${prefix}${index}`),
    metric: Array.from({ length: keys }, () => 1),
  });
  const producer = { id: producerId(1) };
  const first = { producer, first_sequence: '1', blocks: [blockOf('x', 1024, 0), blockOf('y', 900, 1)] };
  const sound = makeSegment(segmentId, [first, { producer, first_sequence: '3', events: [{ name: 'b' }] }]);
  const event = Buffer.concat([
    Buffer.from([0x09, 2, 0, 0, 0, 0, 0, 0, 0, 0x12, 1, 0x62]),
    key('y0', 1),
    key('y0', 7),
  ]);
  const last = sound.requests[1] as (typeof sound.requests)[number];
  const request = Buffer.concat([Buffer.from([0x1a, event.length]), event]);
  const segment = {
    ...sound,
    bytes: Buffer.concat([sound.bytes.subarray(0, last.start), request]),
    requests: [sound.requests[0] as typeof last, { ...last, end: last.start + request.length }],
  };
  const columns = new SegmentEncoder();
  const { chunks } = columns.encode(segment);
  // The offsets of the three rows' metrics: 1024, 900 more, and one more.
  const offsets = Buffer.alloc(24);
  for (const [row, end] of [1024, 1924, 1925].entries()) offsets.writeBigUInt64LE(BigInt(end), row * 8);
  assert.ok(Buffer.concat(chunks).includes(offsets));
});
