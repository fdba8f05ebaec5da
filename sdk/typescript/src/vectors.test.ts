import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { LossReason } from './buffer/loss.js';
import { encodeOne } from './test-support/encode-one.js';
import { encodeRequest, type Logged } from './test-support/encode-request.js';
import { unblock } from './test-support/unblock.js';
import { decodeRequest } from './test-support/wire.js';

interface Vector {
  readonly title: string;
  readonly name: string;
  readonly time: string;
  readonly severity?: number;
  readonly body?: string;
  readonly step?: unknown;
  readonly fields?: Record<string, unknown>;
  readonly trace_id?: string;
  readonly span_id?: string;
  readonly hex: string;
}

const vectors: Vector[] = JSON.parse(
  readFileSync(new URL('../../vectors/events.json', import.meta.url), 'utf8'),
);

for (const vector of vectors) {
  test(`the golden vector holds: ${vector.title}`, () => {
    const { event, fieldErrors } = encodeOne(vector.name, fieldsOf(vector.fields), {
      time: BigInt(vector.time),
      severity: vector.severity,
      body: vector.body,
      step: plainValue(vector.step),
      traceId: vector.trace_id,
      spanId: vector.span_id,
    });
    assert.equal(event.toString('hex'), vector.hex);
    assert.equal(fieldErrors, 0);
  });
}

test('the vectors mean what they say to the contract’s own decoder', () => {
  for (const { name, time, body, hex } of vectors) {
    const event = Buffer.from(hex, 'hex');
    const head = [0x1a];
    for (let length = event.length; ; length >>>= 7) {
      head.push(length > 0x7f ? (length & 0x7f) | 0x80 : length);
      if (length <= 0x7f) break;
    }
    const decoded = decodeRequest(Buffer.concat([Buffer.from(head), event])).events?.[0];
    assert.equal(decoded?.name, name === '' ? 'log' : name);
    assert.equal(decoded?.time_unix_nano, time);
    assert.equal(decoded?.body, body);
  }
});

interface BlocksVector {
  readonly title: string;
  readonly first_sequence: number;
  readonly log: readonly (Omit<Vector, 'title' | 'hex'> | VectorLoss)[];
  readonly hex: string;
}
interface VectorLoss {
  readonly loss: LossReason;
  readonly count: number;
  readonly time: string;
}

const blocksVectors: BlocksVector[] = JSON.parse(
  readFileSync(new URL('../../vectors/blocks.json', import.meta.url), 'utf8'),
);

for (const { title, first_sequence, log, hex } of blocksVectors) {
  test(`the golden vector of blocks holds: ${title}`, () => {
    assert.equal(encodeRequest(first_sequence, log.map(loggedOf)).toString('hex'), hex);
  });
}

test('the vectors of blocks mean what they say to the contract’s own decoder', () => {
  for (const { title, first_sequence, log, hex } of blocksVectors) {
    const { blocks = [], losses = [], ...rest } = decodeRequest(Buffer.from(hex, 'hex'));
    assert.deepEqual({ ...rest }, { first_sequence: String(first_sequence) }, title);
    const events = blocks.flatMap(unblock);
    let offset = 0;
    for (const one of log) {
      if ('loss' in one) {
        const found = losses.find(({ first_sequence: at }) => Number(at) === first_sequence + offset);
        const { loss, count, time } = one;
        const expected = {
          count: String(count),
          reason: `LOSS_REASON_${loss.toUpperCase()}`,
          time_unix_nano: time,
        };
        assert.deepEqual(
          { ...found },
          { first_sequence: String(first_sequence + offset), ...expected },
          title,
        );
        offset += count;
        continue;
      }
      const event = events.find((each) => each.offset === offset)?.event;
      offset++;
      const { decoded } = encodeOne(one.name, fieldsOf(one.fields), optionsOf(one));
      assert.equal(event?.time_unix_nano, one.time, title);
      assert.deepEqual(event?.metrics, decoded.metrics && { ...decoded.metrics }, title);
      assert.deepEqual(event?.attributes, decoded.attributes && { ...decoded.attributes }, title);
      const { name, severity_number, body, step, trace_id, span_id } = event ?? {};
      assert.deepEqual(
        [name, severity_number, body, step, trace_id?.toString('hex'), span_id?.toString('hex')],
        [
          one.name === '' ? 'log' : one.name,
          one.severity === 9 ? undefined : one.severity,
          one.body === '' ? undefined : one.body,
          one.step === undefined ? undefined : String(plainValue(one.step)),
          one.trace_id,
          one.span_id,
        ],
        title,
      );
    }
    assert.equal(events.length + losses.reduce((sum, { count }) => sum + Number(count), 0), offset, title);
  }
});

function loggedOf(one: BlocksVector['log'][number]): Logged {
  if ('loss' in one) {
    return { lost: one.loss, count: one.count, timeMs: Number(BigInt(one.time) / 1_000_000n) };
  }
  const { name, severity = 9, body } = one;
  return { name, severity, body, fields: fieldsOf(one.fields), options: optionsOf(one) };
}

function optionsOf(one: Omit<Vector, 'title' | 'hex'>) {
  return {
    time: BigInt(one.time),
    severity: one.severity,
    body: one.body,
    step: plainValue(one.step) as number | bigint | undefined,
    traceId: one.trace_id,
    spanId: one.span_id,
  };
}

function fieldsOf(fields: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  if (fields === undefined) return undefined;
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plainValue(value)]));
}

function plainValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('$int' in value) return BigInt(String(value.$int));
  if ('$float' in value) return Number(value.$float);
  return value;
}
