import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { EventClock } from '../event-clock.js';
import { wireLimits } from '../limits.js';
import { CollectorModel, type Fate } from '../test-support/collector-model.js';
import { FakeClock } from '../test-support/fake-clock.js';
import { seededRandom } from '../test-support/random.js';
import { decodeRequest } from '../test-support/wire.js';
import { BlockEncoder } from './block-encoder.js';
import { makeEncoder } from './make-encoder.js';
import { RequestBuffer } from './request-buffer.js';

/** The field `producer` of the contract with an id of 16 zeros. */
const producer = Buffer.concat([Buffer.from([0x0a, 18, 0x0a, 16]), Buffer.alloc(16)]);
const mib = 1024 * 1024;

function makeBuffer(
  given: { encoding?: 'blocks' | 'rows'; bufferBytes?: number; requestBytes?: number } = {},
) {
  const { encoding = 'blocks', bufferBytes = 64 * mib, requestBytes = mib } = given;
  const clock = new FakeClock();
  const encoder = makeEncoder({ encoding, requestBytes }, new EventClock(clock));
  return {
    encoder,
    clock,
    buffer: new RequestBuffer({ bufferBytes, requestBytes }, encoder, producer, clock),
  };
}

/** Freezes everything; what became of each number, checked by the rules of the contract. */
function fatesOf(buffer: RequestBuffer): Map<number, Fate> {
  while (buffer.freeze(true));
  const model = new CollectorModel();
  for (const { bytesWithProducer, first, last, events, losses } of buffer.frozen) {
    model.openCall().take(bytesWithProducer);
    const lost = losses.reduce((sum, { count }) => sum + count, 0);
    assert.equal(events + lost, last - first + 1, 'a request knows what it holds');
    assert.ok(bytesWithProducer.buffer.byteLength === bytesWithProducer.length, 'in a buffer of its size');
  }
  return model.fates();
}

const seeds = process.env['SLUICE_SEED'] ? [Number(process.env['SLUICE_SEED'])] : [1, 2, 3, 4, 5, 6];

for (const seed of seeds) {
  test(`both encodings say the same about whatever is logged (seed ${seed})`, () => {
    const random = seededRandom(seed);
    const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)]!;
    const chance = (probability: number): boolean => random() < probability;
    const both = [makeBuffer(), makeBuffer({ encoding: 'rows' })];
    const keys = ['a', 'b', 'größe', 'k\ud800', 'k\udc00', 'x'.repeat(300), '', 'long_key'.repeat(10), '7'];
    const words = ['train', 'eval', '', 'Grüße', '日本', 'lone \udfff', 'w'.repeat(23), 'w'.repeat(500)];
    const value = (): unknown =>
      pick<unknown>([
        random() * 1e6 - 5e5,
        Math.floor(random() * 10),
        Number.NaN,
        -0,
        2n ** 60n,
        5n,
        pick(words),
        pick(words),
        chance(0.5),
        null,
        undefined,
        [1, 'a'],
        new Date(pick([0, Number.NaN])),
        () => 1,
        new Error('told by its stack').message,
      ]);
    const usual = { loss: 0.5, lr: 3e-4, source: 'rank-0', phase: 'train' };
    for (let index = 0; index < 2000; index++) {
      if (chance(0.02)) {
        const reason = pick(['too_large', 'encoding'] as const);
        for (const { buffer } of both) buffer.drop(reason);
      }
      const fields: Record<string, unknown> = chance(0.6) ? { ...usual, loss: random() } : {};
      if (chance(0.01)) fields['phase'] = pick(words);
      for (let more = chance(0.3) ? random() * 6 : 0; more > 1; more--) fields[pick(keys)] = value();
      const name = pick(['train.step', 'train.step', 'eval', '', 'log', 'n'.repeat(300), undefined, 5]);
      const severity = chance(0.8) ? 9 : 1 + Math.floor(random() * 24);
      const body = chance(0.2) ? pick(words) : undefined;
      const options = {
        ...(chance(0.7) && { step: pick<unknown>([index, -index, 2 ** 40 + index, 2n ** 62n, 1.5]) }),
        ...(chance(0.1) && { traceId: pick(['ab'.repeat(16), 'zz', new Uint8Array(16).fill(7)]) }),
        ...(chance(0.1) && { spanId: pick(['cd'.repeat(8), new Uint8Array(8)]) }),
        ...(chance(0.2) && { time: pick<unknown>([1_700_000_000_123.25, 5n, new Date(5e11), -1]) }),
      };
      const given = chance(0.02) ? Object.assign(new Error('in place of fields'), { error: 'own' }) : fields;
      for (const { encoder, buffer, clock } of both) {
        clock.nowMs += 0.25;
        assert.equal(encoder.write(name, severity, body, given, options), 'written');
        buffer.add(severity);
      }
    }
    const [blocks, rows] = both.map(({ buffer }) => plain(fatesOf(buffer)));
    assert.deepEqual(blocks, rows);
    assert.equal(both[0]!.encoder.fieldErrors, both[1]!.encoder.fieldErrors);
  });

  test(`what is evicted from blocks is lost and everything else is as it was logged (seed ${seed})`, () => {
    const random = seededRandom(seed);
    const bufferBytes = 200_000 + Math.floor(random() * 100_000);
    const { encoder, buffer, clock } = makeBuffer({ bufferBytes, requestBytes: 40_000 });
    const expected = new Map<number, { severity: number; kind: number }>();
    for (let sequence = 1; sequence <= 20_000; sequence++) {
      // Waves, so that eviction meets the open draft and all sealed ones, and drafts of one severity and of several.
      const wave = Math.floor(sequence / 2500);
      const severity = random() < 0.7 ? 2 + wave * 2 : 1 + Math.floor(random() * 24);
      const kind = Math.floor(random() * 4);
      clock.nowMs += 0.01;
      expected.set(sequence, { severity, kind });
      if (buffer.isClosedTo(severity)) {
        buffer.drop('buffer_full');
        continue;
      }
      const { fields, body } = contentOf(sequence, kind);
      assert.equal(encoder.write('e', severity, body, fields, { step: sequence }), 'written');
      buffer.add(severity);
      assert.ok(buffer.bufferedBytes <= bufferBytes);
    }
    const { bufferedEvents, dropped } = buffer;
    const fates = fatesOf(buffer);
    assert.equal(fates.size, 20_000);
    let events = 0;
    for (const [sequence, fate] of fates) {
      const { severity, kind } = expected.get(sequence)!;
      if ('loss' in fate) {
        assert.equal(fate.loss, 'LOSS_REASON_BUFFER_FULL');
        continue;
      }
      events++;
      const { fields, body } = contentOf(sequence, kind);
      assert.equal(fate.event.step, String(sequence), 'an event under a number that is not its own');
      assert.equal(fate.event.severity_number ?? 9, severity);
      assert.equal(fate.event.body, body);
      assert.deepEqual({ ...fate.event.metrics, ...fate.event.attributes }, fields);
    }
    assert.equal(events, bufferedEvents);
    assert.equal(dropped.buffer_full, 20_000 - events);
    buffer.frozen.forEach((request) => {
      request.sends = 1;
    });
    buffer.release(20_000);
    assert.equal(buffer.bufferedBytes, 0, 'what was counted when it came is counted when it goes');
  });
}

function contentOf(sequence: number, kind: number): { fields: object; body: string | undefined } {
  if (kind === 0) return { fields: { value: sequence, source: 'constant' }, body: undefined };
  if (kind === 1) return { fields: { text: `${sequence}`.padEnd(sequence % 90, 'ü') }, body: undefined };
  if (kind === 2) return { fields: { a: sequence, b: -sequence }, body: `body ${sequence}` };
  return {
    fields: { parity: sequence % 97 === 0 ? 'rare' : 'usual', [`k${sequence % 5}`]: 1 },
    body: undefined,
  };
}

test('a full buffer of mixed severities is evicted in a time that grows with it, not with its square', () => {
  const evict = (bufferBytes: number): number => {
    const { encoder, buffer } = makeBuffer({ bufferBytes, requestBytes: mib });
    const log = (severity: number): void => {
      encoder.write('e', severity, undefined, { a: 1, b: 2, source: `s${severity % 3}` }, { step: 1 });
      buffer.add(severity);
    };
    for (let index = 0; buffer.dropped.buffer_full === 0; index++) log([5, 9, 9, 13][index % 4]!);
    const events = buffer.bufferedEvents;
    // Of the processor, because what else the machine does is not the question.
    const before = process.cpuUsage();
    for (let index = 0; index < events; index++) log(17);
    const tookMs = process.cpuUsage(before).user / 1000;
    assert.ok(buffer.dropped.buffer_full > events * 0.9, 'everything lesser went');
    return (tookMs * 1000) / events;
  };
  evict(4 * mib);
  const [small, large] = [evict(4 * mib), evict(32 * mib)];
  assert.ok(large < small * 4 + 5, `${small} µs an eviction in 4 MiB, ${large} µs in 32 MiB`);
});

test('a request has at most a thousand shapes, and programs that make up more are served and bounded', () => {
  const { encoder, buffer } = makeBuffer();
  for (let index = 0; index < 25_000; index++) {
    encoder.write('e', 9, undefined, { [`metric_${index}`]: index, [`text_${index}`]: 'x' }, undefined);
    buffer.add(9);
  }
  const fates = fatesOf(buffer);
  assert.equal(fates.size, 25_000);
  for (const { bytes } of buffer.frozen) assert.ok(decodeRequest(bytes).blocks!.length <= 1000);
  for (const [sequence, fate] of fates)
    assert.equal('event' in fate && fate.event.metrics?.[`metric_${sequence - 1}`], sequence - 1);
  assert.ok(
    encoder instanceof BlockEncoder && encoder.columnBytes <= 3 * mib,
    'columns that are idle are given back',
  );
});

test('loggers that make up shapes until all are forgotten do not get into each other’s events', () => {
  const both = [makeBuffer(), makeBuffer()];
  for (let index = 0; index < 12_000; index++) {
    for (const [which, { encoder, buffer }] of both.entries()) {
      encoder.write(`made-up-${which}-${index}`, 9, undefined, { [`key_${index}`]: index }, undefined);
      buffer.add(9);
      encoder.write('common', 9, undefined, { which, index }, undefined);
      buffer.add(9);
    }
  }
  for (const [which, { buffer }] of both.entries()) {
    const events = [...fatesOf(buffer)].map(([, fate]) => ('event' in fate ? fate.event : undefined));
    assert.deepEqual(
      events.map((event) => [event?.name, event?.metrics]),
      Array.from({ length: 12_000 }, (_, index) => [
        [`made-up-${which}-${index}`, { [`key_${index}`]: index }],
        ['common', { which, index }],
      ]).flat(),
    );
  }
});

test('a logger that is closed is not kept by the shapes that it shared with others', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const closed = Array.from({ length: 20 }, (_, which) => {
    const { encoder, buffer } = makeBuffer();
    for (const name of ['common', `own-${which}`]) {
      encoder.write(name, 9, undefined, { index: which }, undefined);
      buffer.add(9);
    }
    buffer.close();
    return new WeakRef(encoder);
  });
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  assert.deepEqual(
    closed.map((reference) => reference.deref()).filter((encoder) => encoder !== undefined),
    [],
  );
});

test('what a shape took for a while is given back', () => {
  const { encoder, buffer } = makeBuffer({ requestBytes: mib });
  assert.ok(encoder instanceof BlockEncoder);
  for (let shape = 0; shape < 50; shape++) {
    for (let index = 0; index < 30_000; index++) {
      encoder.write(`shape-${shape}`, 9, undefined, { a: 1, b: 2 }, { step: index });
      buffer.add(9);
      buffer.freeze(false);
    }
    assert.ok(encoder.columnBytes <= 5 * mib, `${encoder.columnBytes} bytes of columns`);
  }
});

test('a thousand attributes that differ after they were constant stay within the size of a request', () => {
  const { encoder, buffer } = makeBuffer();
  const long = 'x'.repeat(100_000);
  for (let index = 0; index < 200; index++) {
    encoder.write('e', 9, undefined, { long: index % 10 === 9 ? `${long}${index}` : long }, undefined);
    buffer.add(9);
    assert.ok(buffer.bufferedBytes >= buffer.frozen.reduce((sum, { bytes }) => sum + bytes.length, 0));
  }
  assert.equal(fatesOf(buffer).size, 200);
  for (const { bytes } of buffer.frozen) assert.ok(bytes.length < 1.2 * mib, String(bytes.length));
});

test('losses between all events divide a request, and no number is left out', () => {
  const { encoder, buffer } = makeBuffer();
  for (let index = 0; index < 25_000; index++) {
    encoder.write(`e${index % 3}`, 9, undefined, { index }, undefined);
    buffer.add(9);
    buffer.drop(index % 2 === 0 ? 'too_large' : 'encoding');
  }
  const fates = fatesOf(buffer);
  assert.equal(fates.size, 50_000);
  assert.ok(buffer.frozen.some(({ losses }) => losses.length === wireLimits.lossesPerRequest));
  for (const [sequence, fate] of fates) {
    if (sequence % 2 === 1)
      assert.equal('event' in fate && fate.event.metrics?.['index'], (sequence - 1) / 2);
  }
});

test('an event that is too large or throws half way leaves no trace in its block', () => {
  const { encoder, buffer } = makeBuffer();
  const log = (fields: object, options?: object): string => {
    const outcome = encoder.write('e', 9, undefined, fields, options);
    if (outcome === 'written') buffer.add(9);
    return outcome;
  };
  log({ a: 1, text: 'same' });
  assert.equal(log({ a: 2, text: 'x'.repeat(mib) }), 'too_large');
  assert.equal(log({ a: 2, text: 'ü'.repeat(600_000) }), 'too_large');
  assert.throws(() =>
    log(
      { a: 3, text: 'other' },
      {
        get spanId(): string {
          throw new Error('no');
        },
      },
    ),
  );
  log({ a: 4, text: 'same' });
  const events = [...fatesOf(buffer).values()].map((fate) => 'event' in fate && fate.event);
  assert.deepEqual(
    events.map((event) => event && { ...event.metrics, ...event.attributes }),
    [
      { a: 1, text: 'same' },
      { a: 4, text: 'same' },
    ],
  );
  assert.equal(decodeRequest(buffer.frozen[0]!.bytes).blocks![0]!.attribute!.toString('latin1'), '\x04same');
});

/** Without the prototypes of the decoder's objects. */
function plain(fates: Map<number, Fate>): [number, unknown][] {
  return [...fates]
    .sort(([a], [b]) => a - b)
    .map(([sequence, fate]) => {
      if ('loss' in fate) return [sequence, fate.loss];
      const { metrics = {}, attributes = {}, ...rest } = fate.event;
      return [sequence, { ...rest, metrics: { ...metrics }, attributes: { ...attributes } }];
    });
}
