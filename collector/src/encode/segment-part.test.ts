import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSync } from '@grpc/proto-loader';
import type { LogRequest } from '@sluice/proto';
import { loaderOptions, protoPath } from '@sluice/proto';
import type { EventRange, RequestRecord, SegmentContents } from '../record.js';
import { makeSegment } from '../testing/segments.js';
import { producerId } from '../testing/wire.js';
import { SegmentEncoder } from './encode-segment.js';
import { quarantinedLossRows, quarantinePieces, quarantineRows } from './quarantine-rows.js';
import { SegmentIndex } from './segment-index.js';
import { readBatchId, segmentPart } from './segment-part.js';

const segmentId = '019343f2-5d00-7000-8000-000000000001';

/** Three producers, several names, rejected events and losses in between. */
function mixedSegment(): SegmentContents {
  const next = [1, 1, 1];
  const requests: LogRequest[] = Array.from({ length: 14 }, (_, number) => {
    const who = (number * 5) % 3;
    const first = next[who] as number;
    const events = Array.from({ length: 1 + ((number * 7) % 11) }, (_, index) => ({
      time_unix_nano: String(1_700_000_000_000_000_000n + BigInt((index * 7919) % 13)),
      name: `n${(index * 3) % 4}`,
      body: `${who}:${number}:${index}`,
      ...(index % 5 === 3 && { severity_number: 99 }),
    }));
    const losses =
      number % 3 === 0
        ? [{ first_sequence: String(first + 1), count: '4', reason: 'LOSS_REASON_BUFFER_FULL' as const }]
        : [];
    next[who] = first + events.length + (losses.length > 0 ? 4 : 0);
    return {
      producer: {
        id: producerId(who + 1),
        project: 'p',
        run_id: `r${who % 2}`,
        rank: who,
        labels: { zone: 'a', '': 'x' },
        attempt: 3,
        start_time_unix_nano: '1700000000000000001',
        local_rank: 0,
      },
      first_sequence: String(first),
      events,
      losses,
    };
  });
  return makeSegment(segmentId, requests);
}

/** What identifies the rows of a part, in the order of the log. */
function keysOf(segment: SegmentContents, range?: EventRange): string[] {
  const index = new SegmentIndex();
  index.build(segment, range);
  return Array.from({ length: index.count }, (_, event) => {
    const request = segment.requests[index.requests[event] as number] as RequestRecord;
    return `${request.producerIndex}:${index.sequences[event]}:${index.starts[event]}-${index.ends[event]}`;
  });
}

test('the parts of any bisection are together exactly the rows of the whole segment, each once', () => {
  const segment = mixedSegment();
  const whole = keysOf(segment);
  assert.ok(whole.length > 40);
  for (let seed = 1; seed < 200; seed++) {
    const parts: EventRange[] = [];
    const cut = (from: number, to: number, depth: number): void => {
      if (to - from < 2 || (seed >> (depth % 7)) % 3 === 1) {
        parts.push({ from, to });
        return;
      }
      const middle = from + Math.floor((to - from) / 2);
      cut(from, middle, depth + 1);
      cut(middle, to, depth + 2);
    };
    cut(0, whole.length, 0);
    assert.deepEqual(
      parts.flatMap((part) => keysOf(segment, part)),
      whole,
    );
    const encoder = new SegmentEncoder();
    const rows = parts.map((range) => encoder.encode(segment, segmentPart(segmentId, range)).rows);
    assert.equal(
      rows.reduce((sum, count) => sum + count, 0),
      whole.length,
    );
  }
});

test('the part that is the whole segment differs from the segment in its batch id alone', () => {
  const segment = mixedSegment();
  const encoder = new SegmentEncoder();
  const { rows, chunks } = encoder.encode(segment);
  const whole = Buffer.concat(chunks);
  const part = encoder.encode(segment, { from: 0, to: rows, batchId: segmentId });
  assert.deepEqual(Buffer.concat(part.chunks), whole);
});

test('a piece in quarantine is a request of its own: same producer, same numbers, same bytes of events', () => {
  const segment = mixedSegment();
  const index = new SegmentIndex();
  const whole = keysOf(segment).length;
  const refusal = { code: 469, message: 'no' };
  const pieces = quarantinePieces(segment, index, [
    { from: 2, to: 3, refusal },
    { from: 5, to: whole - 1, refusal },
  ]);
  assert.equal(pieces[0]?.batchId, `${segmentId}.2-3`);
  assert.equal(
    pieces.reduce((sum, { from, to }) => sum + to - from, 0),
    whole - 5,
  );
  assert.ok(pieces.every((piece) => piece.lastSequence - piece.firstSequence === piece.to - piece.from - 1));
  const service = loadSync(protoPath, loaderOptions)['sluice.v1.EventCollector'] as unknown as {
    LogOnce: { requestDeserialize(bytes: Buffer): LogRequest };
  };
  const rows = quarantineRows(segment, index, pieces);
  const losses = quarantinedLossRows(segment, pieces);
  const seen: string[] = [];
  for (const [place, { values }] of rows.entries()) {
    const loss = (losses[place] as (typeof losses)[number]).values;
    for (const name of ['batch_id', 'first_sequence', 'last_sequence', 'producer_id', 'run_id'])
      assert.equal(loss[name], values[name]);
    const request = service.LogOnce.requestDeserialize(Buffer.from(String(values['request']), 'base64'));
    assert.equal(request.first_sequence, values['first_sequence']);
    assert.equal(String(request.events?.length), values['events']);
    assert.equal(request.producer?.attempt, 3);
    assert.equal(request.producer?.start_time_unix_nano, '1700000000000000001');
    assert.deepEqual(request.producer?.labels, { zone: 'a', '': 'x' });
    assert.equal(request.producer?.local_rank, 0);
    seen.push(...(request.events ?? []).map((event) => String(event.body)));
  }
  const bodies = segment.requests.flatMap((request) =>
    [...segment.bytes.toString('latin1', request.start, request.end).matchAll(/\d:\d+:\d+/g)]
      .map(([body]) => body)
      .filter((body) => Number(body.split(':')[2]) % 5 !== 3),
  );
  assert.deepEqual(seen, [...bodies.slice(2, 3), ...bodies.slice(5, whole - 1)]);
});

test('a batch id tells what it names, and what is not ours names nothing', () => {
  assert.deepEqual(readBatchId(segmentId), { kind: 'segment', segmentId });
  assert.deepEqual(readBatchId(`${segmentId}.7-9`), {
    kind: 'part',
    segmentId,
    part: { from: 7, to: 9, batchId: `${segmentId}.7-9` },
  });
  assert.deepEqual(readBatchId(`${segmentId}.damage`), { kind: 'report', segmentId, report: 'damage' });
  assert.equal(readBatchId('batch-1'), undefined);
  assert.equal(readBatchId(`${segmentId}.7-`), undefined);
});
