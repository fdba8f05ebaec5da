import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeOne } from './test-support/encode-one.js';
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
