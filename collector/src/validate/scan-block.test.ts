import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogRequest, rejectionReasons } from '@sluice/proto';
import { messageLimits } from '../limits.js';
import { text, toBlocks } from '../testing/blocks.js';
import { encodeRequest } from '../testing/wire.js';
import { scanRequest } from './scan-request.js';

type Block = NonNullable<LogRequest['blocks']>[number];

/** Three events with two metrics and an attribute that differs. */
const good = {
  name: 'train.step',
  count: 3,
  sequence_delta: [0, 1, 1],
  time_delta: ['1', '1', '1'],
  step_delta: ['-1', '1', '1'],
  severity_number: Buffer.from([9]),
  body: Buffer.alloc(0),
  metric_name: ['loss', 'lr'],
  metric: [1, 2, 3, 4, 5, 6],
  attribute_name: ['host'],
  attribute: Buffer.concat(['a', 'b', 'c'].map(text)),
} satisfies Block;

function offsets(numbers: readonly number[]): number[] {
  return numbers.map((number, row) => number - (numbers[row - 1] ?? 0));
}

function scan(blocks: readonly Block[], more: Partial<LogRequest> = {}) {
  return scanRequest(encodeRequest({ first_sequence: '10', blocks: [...blocks], ...more }), messageLimits);
}

test('events of blocks take the numbers that their offsets say', () => {
  const second = { ...good, sequence_delta: offsets([1, 3, 5]) };
  const result = scan([{ ...good, sequence_delta: offsets([0, 2, 4]) }, second]);
  assert.ok(result.kind === 'scanned', JSON.stringify(result));
  assert.deepEqual(
    [result.firstSequence, result.lastSequence, result.eventCount, result.rejections],
    [10, 15, 6, []],
  );
});

test('losses lie between the events of blocks, however many numbers they cover', () => {
  const loss = (first: number, count: number) => ({
    first_sequence: String(first),
    count: String(count),
    reason: 'LOSS_REASON_BUFFER_FULL' as const,
  });
  const result = scan([{ ...good, sequence_delta: offsets([0, 4_000_000_001, 4_000_000_004]) }], {
    losses: [loss(11, 4_000_000_000), loss(4_000_000_012, 2), loss(4_000_000_015, 9_000_000)],
  });
  assert.ok(result.kind === 'scanned', JSON.stringify(result));
  assert.equal(result.lastSequence, 10 + 3 + 4_000_000_000 + 2 + 9_000_000 - 1);
  const inLoss = scan([{ ...good, sequence_delta: offsets([0, 1, 4]) }], { losses: [loss(11, 3)] });
  assert.match(
    inLoss.kind === 'invalid' ? inLoss.problem : '',
    /sequence 11 is an event of a block and lies in a loss/,
  );
});

const row = (values: number[]) => Buffer.from(values);
for (const [name, block, problem] of [
  ['without a count', { count: 0 }, /no count/],
  [
    'with too few offsets',
    { sequence_delta: [0, 1] },
    /sequence_delta of a block has 2 bytes; its 3 events take 3 to 30/,
  ],
  ['with too many times', { time_delta: ['1', '1', '1', '1'] }, /time_delta of a block does not hold just 3/],
  [
    'with a time too few',
    { time_delta: ['1', '1000000'] },
    /time_delta of a block does not hold just 3 numbers/,
  ],
  ['with a step too few', { step_delta: ['1', '2'] }, /step_delta of a block has 2 bytes/],
  [
    'with a step too many',
    { step_delta: ['1', '2', '3', '4'] },
    /step_delta of a block does not hold just 3/,
  ],
  [
    'with an offset too many',
    { sequence_delta: [0, 1, 1, 1] },
    /sequence_delta of a block does not hold just 3/,
  ],
  [
    'with offsets beyond 32 bits',
    { sequence_delta: [0, 4294967295, 4294967295] },
    /offset 4294967295;|offset 8589934590/,
  ],
  [
    'with a metric too few',
    { metric: [1, 2, 3, 4, 5] },
    /metric of a block has 40 bytes; its 3 events take 48/,
  ],
  ['with metrics without names', { metric_name: [] }, /metric of a block has 48 bytes; its 3 events take 0/],
  ['with names without metrics', { metric: [] }, /metric of a block has 0 bytes/],
  ['with attributes without names', { attribute_name: [] }, /attributes without names/],
  [
    'with an attribute too few',
    { attribute: Buffer.concat(['a', 'b'].map(text)) },
    /does not hold just 3 texts/,
  ],
  ['with half an attribute', { attribute: row([1, 97, 1, 98, 5, 99]) }, /does not hold just 3 texts/],
  [
    'with an attribute whose length has no end',
    { attribute: row([1, 97, 255, 255]) },
    /does not hold just 3 texts/,
  ],
  ['with a body too few', { body: row([1, 97, 1, 98]) }, /body of a block does not hold just 3 texts/],
  ['with a body that reaches beyond it', { body: row([1, 97, 1, 98, 100, 99]) }, /body of a block/],
  [
    'with two severities for three events',
    { severity_number: row([9, 9]) },
    /severity_number of a block has 2 bytes/,
  ],
  [
    'with half a trace id',
    { trace_id: Buffer.alloc(47) },
    /trace_id of a block has 47 bytes; its 3 events take 48/,
  ],
  ['with a span id too few', { span_id: Buffer.alloc(16) }, /span_id of a block has 16 bytes/],
  [
    'with offsets that stand still',
    { sequence_delta: [1, 0, 1] },
    /two events with offset 1; a sequence_delta must be at least 1/,
  ],
  [
    'with an offset beyond the request',
    { sequence_delta: [0, 1, 2] },
    /offset 3; the request's numbers end at offset 2/,
  ],
  ['with a metric name twice', { metric_name: ['loss', 'loss'] }, /the name "loss" twice/],
] as const satisfies readonly (readonly [string, Partial<Block>, RegExp])[]) {
  test(`a block ${name} makes the request invalid`, () => {
    const result = scan([{ ...good, ...(block as Partial<Block>) }]);
    assert.match(result.kind === 'invalid' ? result.problem : JSON.stringify(result), problem);
  });
}

test('many names are compared too', () => {
  const names = Array.from({ length: 40 }, (_, index) => `key-${index % 39}`);
  const block = { ...good, metric_name: names, metric: Array.from({ length: 120 }, () => 1) };
  const result = scan([block]);
  assert.match(result.kind === 'invalid' ? result.problem : '', /"key-0" twice/);
});

test('two blocks with the same number make the request invalid', () => {
  const result = scan([
    good,
    { ...good, sequence_delta: offsets([3, 4, 5]) },
    { ...good, sequence_delta: offsets([5, 6, 7]) },
  ]);
  assert.match(result.kind === 'invalid' ? result.problem : '', /9 events take 8 numbers/);
});

test('a request with events and blocks is invalid', () => {
  const result = scan([good], { events: [{ name: 'x' }] });
  assert.match(result.kind === 'invalid' ? result.problem : '', /events and blocks/);
});

test('an array in two pieces, and one that is not packed, are invalid', () => {
  const whole = encodeRequest({ first_sequence: '1', blocks: [good] });
  const inner = whole.subarray(whole.indexOf('\n\ntrain.step'));
  const request = (block: Buffer) =>
    scanRequest(
      Buffer.concat([Buffer.from([0x10, 1, 0x22, (block.length & 0x7f) | 0x80, block.length >> 7]), block]),
      messageLimits,
    );
  const twice = request(Buffer.concat([inner, Buffer.from([0x72, 1, 9])]));
  assert.match(
    twice.kind === 'invalid' ? twice.problem : '',
    /sequence_delta of a block comes in more than one/,
  );
  const loose = request(Buffer.concat([inner, Buffer.from([0x70, 9])]));
  assert.match(loose.kind === 'invalid' ? loose.problem : '', /field 14 of a block is not packed/);
});

test('a limit costs the events of a block that break it, with their numbers', () => {
  const events = [
    { name: 'ok', body: 'x' },
    { name: 'ok', body: 'bad severity', severity_number: 99 },
    { name: 'n'.repeat(300) },
    { name: 'ok', time_unix_nano: '9223372036854775808' },
    { name: 'ok', body: 'y'.repeat(messageLimits.eventBytes) },
    { name: 'keys', metrics: { ['k'.repeat(300)]: 1 } },
    { name: 'ok', body: 'z' },
    { name: 'empty key', metrics: { '': 1 } },
    {
      name: 'many keys',
      metrics: Object.fromEntries(Array.from({ length: 1025 }, (_, key) => [`k${key}`, key])),
    },
  ];
  const result = scanRequest(encodeRequest(toBlocks({ first_sequence: '1', events })), messageLimits);
  assert.ok(result.kind === 'scanned', JSON.stringify(result));
  assert.deepEqual(
    result.rejections.map(({ sequence, reason }) => [sequence, rejectionReasons[reason]]),
    [
      [2, 'severity_out_of_range'],
      [3, 'name_too_long'],
      [4, 'time_out_of_range'],
      [5, 'event_too_large'],
      [6, 'key_too_long'],
      [8, 'key_empty'],
      [9, 'too_many_keys'],
    ],
  );
});

test('a text that is not UTF-8 costs its event alone, though its neighbours are long and not ASCII', () => {
  const texts = ['ü'.repeat(100), 'plain', 'ß'].map(text);
  const block = {
    ...good,
    attribute: Buffer.concat([texts[0] as Buffer, row([2, 0xc3, 0x28]), texts[2] as Buffer]),
  };
  const bodies = {
    ...good,
    sequence_delta: offsets([3, 4, 5]),
    body: Buffer.concat([text('ä'), text('ö'), row([1, 0xff])]),
  };
  const result = scan([block, bodies]);
  assert.ok(result.kind === 'scanned', JSON.stringify(result));
  assert.deepEqual(
    result.rejections.map(({ sequence, reason }) => [sequence, rejectionReasons[reason]]),
    [
      [11, 'invalid_utf8'],
      [15, 'invalid_utf8'],
    ],
  );
});

test('a shared attribute that is not UTF-8 costs every event', () => {
  const result = scan([{ ...good, attribute: row([1, 0xff]) }]);
  assert.equal(result.kind === 'scanned' ? result.rejections.length : 0, 3);
});

test('no prefix and no changed byte of a request of blocks is more than refused', () => {
  const bytes = encodeRequest({
    first_sequence: '10',
    blocks: [good, { ...good, sequence_delta: offsets([3, 4, 5]) }],
  });
  for (let length = 0; length < bytes.length; length++) scanRequest(bytes.subarray(0, length), messageLimits);
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0x00, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(bytes);
      changed[at] = value;
      const result = scanRequest(changed, messageLimits);
      if (result.kind === 'scanned') assert.ok(result.eventCount <= 6);
    }
  }
});

test('attributes that are there once for many events cannot make gigabytes of a message', () => {
  const rows = Array.from({ length: 100_000 }, (_, index) => index);
  const shared = (bytes: number): Block => ({
    name: 'n',
    count: rows.length,
    sequence_delta: offsets(rows),
    time_delta: rows.map(() => '1'),
    attribute_name: ['config'],
    attribute: text('x'.repeat(bytes)),
  });
  const before = process.cpuUsage();
  const result = scan([shared(20_000)]);
  assert.match(result.kind === 'invalid' ? result.problem : '', /take 2\d{9} bytes.* at most 50331648/);
  // Not the time that has passed, which is the machine's; milliseconds as it is meant.
  assert.ok(process.cpuUsage(before).user < 5_000_000);
  const honest = scan([shared(100)]);
  assert.ok(honest.kind === 'scanned', JSON.stringify(honest));
  assert.ok(honest.expansionBytes > 99_999 * 101, `${honest.expansionBytes}`);
});

test('names are counted before they are kept, and rejected events before there are too many', () => {
  const names = Buffer.concat(Array.from({ length: 10_001 }, () => Buffer.from([0x42, 0])));
  const many = scanRequest(
    Buffer.concat([Buffer.from([0x10, 1, 0x22, 0xa2, 0x9c, 0x01]), names]),
    messageLimits,
  );
  assert.match(many.kind === 'invalid' ? many.problem : '', /more than 10000 names/);
  const rows = Array.from({ length: 500_000 }, (_, index) => index);
  const bytes = encodeRequest({
    first_sequence: '1',
    blocks: [
      {
        name: 'x'.repeat(300),
        count: rows.length,
        sequence_delta: offsets(rows),
        time_delta: rows.map(() => '1'),
      },
    ],
  });
  const before = process.memoryUsage().heapUsed;
  const result = scanRequest(bytes, messageLimits);
  assert.match(result.kind === 'invalid' ? result.problem : '', /more than 10000 events .* break a limit/);
  assert.ok(process.memoryUsage().heapUsed - before < 8e6);
});

test('many blocks behind many losses are looked through once', () => {
  const losses = Array.from({ length: 10_000 }, (_, index) => ({
    first_sequence: String(1 + index * 2),
    count: '1',
    reason: 'LOSS_REASON_CLOSED' as const,
  }));
  // The first events lie between the losses, the others behind them all.
  const places = [...losses.keys()].map((index) => index * 2 + 1);
  const blocks = Array.from({ length: 9_000 }, (_, index) => ({
    name: 'n',
    count: 1,
    sequence_delta: offsets([places.length * 2 + index]),
    time_delta: ['1'],
  }));
  const between = {
    name: 'n',
    count: 10_000,
    sequence_delta: offsets(places),
    time_delta: places.map(() => '1'),
  };
  const bytes = encodeRequest({ first_sequence: '1', blocks: [between, ...blocks], losses });
  const times = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage();
    const result = scanRequest(bytes, messageLimits);
    const { user } = process.cpuUsage(before);
    assert.ok(result.kind === 'scanned', JSON.stringify(result));
    assert.equal(result.lastSequence, 29_000);
    return user;
  });
  // The first pays for the compiler. From the first loss on for each block it is 400 ms every time.
  const least = Math.min(...times);
  assert.ok(least < 150_000, `${least / 1000} ms`);
});
