import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRequest } from '@sluice/proto';
import { messageLimits } from '../limits.js';
import { encodeRequest, producerId } from '../testing/wire.js';
import { reason } from './scan-event.js';
import { type ScannedRequest, scanRequest } from './scan-request.js';

function scan(request: LogRequest): ScannedRequest {
  const result = scanRequest(encodeRequest(request), messageLimits);
  assert.equal(result.kind, 'scanned', JSON.stringify(result));
  return result as ScannedRequest;
}

function problem(bytes: Buffer): string {
  const result = scanRequest(bytes, messageLimits);
  assert.notEqual(result.kind, 'scanned');
  return (result as { problem: string }).problem;
}

test('a plain request is its range of sequences', () => {
  const result = scan({
    producer: { id: producerId(1) },
    first_sequence: '5',
    events: [{ name: 'a' }, { name: 'b', metrics: { loss: 1 } }],
  });
  assert.equal(result.firstSequence, 5);
  assert.equal(result.lastSequence, 6);
  assert.equal(result.eventCount, 2);
  assert.deepEqual(result.rejections, []);
  assert.ok(result.producer);
});

test('an empty request has an empty range', () => {
  const result = scan({ producer: { id: producerId(1) } });
  assert.equal(result.lastSequence - result.firstSequence, -1);
});

test('a wish to be committed soon may stand anywhere, alone, and as any number that is not zero', () => {
  assert.equal(scan({ first_sequence: '1', events: [{ name: 'a' }] }).flush, false);
  assert.equal(scan({ first_sequence: '1', events: [{ name: 'a' }], flush: true }).flush, true);
  const alone = scan({ flush: true });
  assert.deepEqual([alone.flush, alone.lastSequence - alone.firstSequence], [true, -1]);
  const flushOf = (...bytes: number[]): boolean =>
    (scanRequest(Buffer.from(bytes), messageLimits) as ScannedRequest).flush;
  assert.equal(flushOf(0x30, 0x00), false);
  assert.equal(flushOf(0x30, 0x02), true);
  assert.equal(flushOf(0x30, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01), true);
  assert.match(problem(Buffer.from([0x30])), /varint is cut short/);
});

test('losses use up numbers, and events take the ones between', () => {
  const result = scan({
    first_sequence: '10',
    events: [{ name: 'x' }, { name: 'n'.repeat(300) }],
    losses: [
      { first_sequence: '10', count: '2', reason: 'LOSS_REASON_BUFFER_FULL' },
      { first_sequence: '13', count: '1', reason: 'LOSS_REASON_TOO_LARGE' },
    ],
  });
  assert.equal(result.lastSequence, 14);
  assert.equal(result.lossCount, 3);
  assert.deepEqual(
    result.rejections.map(({ sequence, reason: why }) => [sequence, why]),
    [[14, reason.name_too_long]],
  );
});

test('losses that overlap, descend or reach beyond the range are refused', () => {
  const request = (losses: LogRequest['losses']) =>
    problem(encodeRequest({ first_sequence: '10', events: [{ name: 'x' }], losses: losses ?? [] }));
  assert.match(request([{ first_sequence: '9', count: '1' }]), /must ascend/);
  assert.match(
    request([
      { first_sequence: '12', count: '1' },
      { first_sequence: '11', count: '1' },
    ]),
    /must ascend/,
  );
  assert.match(request([{ first_sequence: '20', count: '1' }]), /reaches sequence 20/);
  assert.match(request([{ first_sequence: '11', count: '0' }]), /at least 1/);
});

test('sequences end at 2^53 - 1, also where a sum is rounded', () => {
  const last = Number.MAX_SAFE_INTEGER;
  const request = (first: number, count: number): LogRequest => ({
    first_sequence: String(first),
    events: Array.from({ length: count }, () => ({})),
  });
  assert.equal(scan(request(last, 1)).lastSequence, last);
  assert.equal(scan(request(last - 1, 2)).lastSequence, last);
  assert.match(problem(encodeRequest(request(last, 2))), /at most 2\^53 - 1 is allowed/);
  assert.match(problem(encodeRequest(request(last - 1, 3))), /at most 2\^53 - 1 is allowed/);
  const losses = [{ first_sequence: String(last), count: String(last - 1) }];
  assert.match(problem(encodeRequest({ first_sequence: '2', events: [{}], losses })), /at most 2\^53 - 1/);
});

test('events without a first sequence are refused', () => {
  assert.match(problem(encodeRequest({ events: [{ name: 'x' }] })), /first_sequence is missing/);
});

const many = (count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]));

for (const [what, event, why] of [
  ['a name over 256 bytes', { name: 'n'.repeat(257) }, reason.name_too_long],
  ['a key over 256 bytes', { metrics: { ['k'.repeat(257)]: 1 } }, reason.key_too_long],
  ['an empty key', { attributes: { '': 'x' } }, reason.key_empty],
  ['more than 1,024 keys', { metrics: many(1025) }, reason.too_many_keys],
  ['an event over 1 MiB', { body: 'x'.repeat(1024 * 1024) }, reason.event_too_large],
  ['a time of 2^63', { time_unix_nano: '9223372036854775808' }, reason.time_out_of_range],
  ['a severity of 25', { severity_number: 25 }, reason.severity_out_of_range],
  ['a trace id of 3 bytes', { trace_id: Buffer.from('abc') }, reason.trace_id_length],
  ['a span id of 16 bytes', { span_id: Buffer.alloc(16) }, reason.span_id_length],
] as const) {
  test(`${what} costs that event alone`, () => {
    const result = scan({ first_sequence: '1', events: [{ name: 'good' }, event, { name: 'good' }] });
    assert.equal(result.lastSequence, 3);
    assert.deepEqual(
      result.rejections.map((rejection) => [rejection.sequence, rejection.reason]),
      [[2, why]],
    );
  });
}

test('a request whose events break limits by the ten thousands is refused whole', () => {
  const events = Array.from({ length: 10_001 }, () => ({ severity_number: 99 }));
  assert.match(
    problem(encodeRequest({ first_sequence: '1', events })),
    /more than 10000 events of the request break a limit/,
  );
});

test('many rejections among many losses get the right numbers', () => {
  const losses = Array.from({ length: 5000 }, (_, index) => ({
    first_sequence: String(index * 3 + 1),
    count: '1',
  }));
  const events = Array.from({ length: 10_000 }, (_, index) =>
    index % 2 === 0 ? { name: 'good' } : { severity_number: 99 },
  );
  const { rejections, lastSequence } = scan({ first_sequence: '1', events, losses });
  assert.equal(lastSequence, 15_000);
  assert.equal(rejections.length, 5000);
  for (const [index, { sequence }] of rejections.entries()) assert.equal(sequence, index * 3 + 3);
});

test('invalid UTF-8 costs that event alone', () => {
  const bytes = encodeRequest({ first_sequence: '1', events: [{ name: 'good' }, { name: 'bXd' }] });
  bytes[bytes.indexOf('bXd') + 1] = 0xff;
  const result = scanRequest(bytes, messageLimits) as ScannedRequest;
  assert.deepEqual(
    result.rejections.map(({ sequence, reason: why }) => [sequence, why]),
    [[2, reason.invalid_utf8]],
  );
});

test('a message cut short anywhere is refused or is a shorter message, and nothing is thrown', () => {
  const whole = encodeRequest({
    producer: { id: producerId(1), project: 'p', labels: { a: 'b' } },
    first_sequence: '1',
    events: [
      { time_unix_nano: '5', name: 'train.step', step: '-7', metrics: { loss: 2.5 }, attributes: { a: 'b' } },
    ],
    losses: [{ first_sequence: '2', count: '5', detail: 'x' }],
  });
  for (let length = 0; length < whole.length; length++) {
    const result = scanRequest(whole.subarray(0, length), messageLimits);
    if (result.kind === 'scanned') assert.ok(result.eventCount + result.losses.length <= 2);
  }
});

test('random bytes never throw and never loop', () => {
  let state = 12345;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.alloc(random() % 64);
    for (let index = 0; index < bytes.length; index++) bytes[index] = random() >>> 24;
    scanRequest(bytes, messageLimits);
  }
});

test('a flipped byte in a good message never throws', () => {
  const whole = encodeRequest({
    first_sequence: '1',
    events: Array.from({ length: 5 }, (_, index) => ({
      time_unix_nano: '1700000000000000000',
      name: 'train.step',
      step: String(index),
      metrics: { loss: index, lr: 0.1 },
      attributes: { host: 'ünïcode' },
    })),
  });
  for (let position = 0; position < whole.length; position++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const bytes = Buffer.from(whole);
      bytes[position] = (bytes[position] as number) ^ mask;
      scanRequest(bytes, messageLimits);
    }
  }
});
