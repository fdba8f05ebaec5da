import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventClock } from '../event-clock.js';
import { encodeOne } from '../test-support/encode-one.js';
import { FakeClock } from '../test-support/fake-clock.js';
import { seededRandom } from '../test-support/random.js';
import { decodeRequest } from '../test-support/wire.js';
import { EventWriter } from './event-writer.js';

test('numbers become metrics and everything else attributes', () => {
  const { decoded, fieldErrors } = encodeOne('e', {
    loss: 0.5,
    nan: Number.NaN,
    up: Number.POSITIVE_INFINITY,
    count: 12n,
    text: 'x',
    yes: true,
    at: new Date(0),
    list: [1, [2n]],
    typed: new Float32Array([1, 0.5]),
    object: { a: 1, m: new Map([['k', new Set([1])]]) },
    none: null,
    nothing: undefined,
  });
  assert.deepEqual(decoded.metrics, { loss: 0.5, nan: Number.NaN, up: Number.POSITIVE_INFINITY, count: 12 });
  assert.deepEqual(decoded.attributes, {
    text: 'x',
    yes: 'true',
    at: '1970-01-01T00:00:00.000Z',
    list: '[1,["2"]]',
    typed: '[1,0.5]',
    object: '{"a":1,"m":{"k":[1]}}',
  });
  assert.equal(fieldErrors, 0);
});

test('integers that a double cannot hold are attributes in decimal, and every number is a metric', () => {
  const { decoded } = encodeOne('e', {
    edge: 2n ** 53n,
    beyond: 2n ** 53n + 1n,
    diverged: -1e21,
    big: -(2n ** 64n),
  });
  assert.deepEqual(decoded.metrics, { edge: 2 ** 53, diverged: -1e21 });
  assert.deepEqual(decoded.attributes, {
    beyond: '9007199254740993',
    big: '-18446744073709551616',
  });
});

test('a field that cannot be encoded costs itself and is counted', () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const { decoded, fieldErrors } = encodeOne('e', {
    before: 1,
    circular,
    get thrower(): number {
      throw new Error('no');
    },
    json: {
      toJSON() {
        throw new Error('no');
      },
    },
    call: () => 1,
    symbol: Symbol('s'),
    invalid: new Date(Number.NaN),
    '': 1,
    ['k'.repeat(257)]: 1,
    revoked: revokedProxy(),
    after: 2,
  });
  assert.deepEqual(decoded.metrics, { before: 1, after: 2 });
  assert.equal(decoded.attributes, undefined);
  assert.equal(fieldErrors, 9);
});

test('fields that cannot be listed cost themselves and not the event', () => {
  for (const fields of [revokedProxy(), 'text', 5, true]) {
    const { decoded, fieldErrors } = encodeOne('e', fields);
    assert.equal(decoded.name, 'e');
    assert.equal(fieldErrors, 1);
  }
});

test('an error in place of fields, or in a field, is told by its stack', () => {
  const error = Object.assign(new Error('boom'), { code: 'EPIPE' });
  const { decoded } = encodeOne('e', error);
  assert.equal(decoded.attributes?.['code'], 'EPIPE');
  assert.match(decoded.attributes?.['error'] ?? '', /Error: boom\n/);
  assert.match(encodeOne('e', { cause: error }).decoded.attributes?.['cause'] ?? '', /Error: boom\n/);
});

test('lone surrogates become U+FFFD wherever they stand', () => {
  const { decoded } = encodeOne(
    'n\ud800',
    { 'k\udc00': 'v\ud800', long: `${'x'.repeat(100)}\ud800` },
    { body: '\udfff' },
  );
  assert.equal(decoded.name, 'n\ufffd');
  assert.equal(decoded.body, '\ufffd');
  assert.deepEqual(decoded.attributes, { 'k\ufffd': 'v\ufffd', long: `${'x'.repeat(100)}\ufffd` });
});

test('a name that is too long is cut between characters and counted', () => {
  const { decoded, fieldErrors } = encodeOne('ü'.repeat(200));
  assert.equal(decoded.name, 'ü'.repeat(128));
  assert.equal(fieldErrors, 1);
});

test('an event keeps its first 1,024 keys', () => {
  const fields = Object.fromEntries(Array.from({ length: 1100 }, (_, index) => [`key-${index}`, index]));
  const { decoded, fieldErrors } = encodeOne('e', fields);
  assert.equal(Object.keys(decoded.metrics ?? {}).length, 1024);
  assert.equal(fieldErrors, 76);
});

test('times of every kind are nanoseconds', () => {
  const nanos = (time: unknown) => encodeOne('e', undefined, { time }).decoded.time_unix_nano;
  assert.equal(nanos(new Date(1_700_000_000_123)), '1700000000123000000');
  assert.equal(nanos(1_700_000_000_123), '1700000000123000000');
  assert.equal(nanos(1_700_000_000_123.25), '1700000000123250000');
  assert.equal(nanos(1_700_000_000_123_456_789n), '1700000000123456789');
  assert.equal(nanos(0.000001), '1');
  assert.equal(nanos(9_223_372_036_854), '9223372036854000000');
  assert.equal(nanos(undefined), '1700000000000500000');
});

test('a time, step or id that is none is left out or replaced by now, and counted', () => {
  for (const time of ['now', -1, Number.NaN, new Date(Number.NaN), 2n ** 63n, 0n, {}]) {
    const { decoded, fieldErrors } = encodeOne('e', undefined, { time });
    assert.equal(decoded.time_unix_nano, '1700000000000500000');
    assert.equal(fieldErrors, 1);
  }
  for (const step of [1.5, Number.NaN, '7', 2n ** 63n, {}]) {
    const { decoded, fieldErrors } = encodeOne('e', undefined, { step });
    assert.equal(decoded.step, undefined);
    assert.equal(fieldErrors, 1);
  }
  const { decoded, fieldErrors } = encodeOne('e', undefined, {
    traceId: 'z'.repeat(32),
    spanId: new Uint8Array(7),
  });
  assert.equal(decoded.trace_id, undefined);
  assert.equal(decoded.span_id, undefined);
  assert.equal(fieldErrors, 2);
});

test('steps of every size come through', () => {
  const edges = [0, 1, -1, 63, 64, -64, -65, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 52, -(2 ** 52), 2 ** 53 - 1];
  for (const step of [...edges, 2n ** 63n - 1n, -(2n ** 63n)]) {
    assert.equal(encodeOne('e', undefined, { step }).decoded.step, String(step));
  }
});

test('an event of more than 1 MiB is too large, whichever way it gets there', () => {
  const writer = new EventWriter(new EventClock(new FakeClock()), 1024);
  const large = 'x'.repeat(1024 * 1024);
  const half = 'ü'.repeat(300_000);
  for (const fields of [
    { large },
    { a: half, b: half },
    { typed: new Float32Array(600_000) },
    { a: [[new Uint8Array(600_000)]] },
  ]) {
    assert.equal(writer.write('e', 9, undefined, fields, undefined), 'too_large');
  }
  assert.equal(writer.write('e', 9, large, undefined, undefined), 'too_large');
  // And the writer is none the worse for it.
  assert.equal(
    writer.write('e', 9, undefined, { fits: 'x'.repeat(1024 * 1024 - 100) }, undefined),
    'written',
  );
});

test('whatever is written one behind the other is read back the same (seed 1)', () => {
  const random = seededRandom(1);
  const writer = new EventWriter(new EventClock(new FakeClock()), 64);
  const alphabet = ['a', 'Z', '0', ' ', 'é', '日', '📈', '\0', '"'];
  const word = (max: number) =>
    Array.from(
      { length: Math.floor(random() * max) },
      () => alphabet[Math.floor(random() * alphabet.length)],
    ).join('');
  const expected: unknown[] = [];
  for (let index = 0; index < 500; index++) {
    const metrics: Record<string, number> = {};
    const attributes: Record<string, string> = {};
    for (let field = random() * 8; field > 1; field--)
      metrics[`m${word(20)}`] = (random() - 0.5) * 10 ** (random() * 20 - 10);
    for (let field = random() * 8; field > 1; field--)
      attributes[`a${word(20)}`] = word(random() < 0.1 ? 2000 : 40);
    const name = `n${word(30)}`;
    const body = `b${word(100)}`;
    const step = Math.floor((random() - 0.5) * 2 ** 40);
    assert.equal(writer.write(name, 13, body, { ...metrics, ...attributes }, { step }), 'written');
    writer.committed = writer.end;
    expected.push({ name, body, step: String(step), metrics, attributes });
  }
  const events = decodeRequest(writer.bytes.subarray(0, writer.committed)).events ?? [];
  const seen = events.map(({ name, body, step, metrics = {}, attributes = {} }) => ({
    name,
    body,
    step,
    metrics,
    attributes,
  }));
  assert.deepEqual(seen, expected);
});

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
