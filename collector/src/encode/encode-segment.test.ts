/** What the encoder writes is read back by the real engine. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LogRequest } from '@sluice/proto';
import type { Session } from 'chdb';
import { makeSegment } from '../testing/segments.js';
import { producerId } from '../testing/wire.js';
import { SegmentEncoder } from './encode-segment.js';
import { EventColumns } from './event-columns.js';

let session: Session;
let folder: string;
const segmentId = '019343f2-5d00-7000-8000-000000000001';
const golden = fileURLToPath(new URL('../../src/encode/golden/', import.meta.url));

before(async () => {
  const { default: chdb } = await import('chdb');
  folder = mkdtempSync(join(tmpdir(), 'sluice-encode-'));
  session = new chdb.Session(join(folder, 'data'));
  const tables = readFileSync(fileURLToPath(new URL('../../schema/001-tables.sql', import.meta.url)), 'utf8');
  for (const statement of tables.split(/;\n/)) if (/CREATE/.test(statement)) session.query(statement);
});
after(() => {
  session.close();
  rmSync(folder, { recursive: true, force: true });
});

function insert(requests: readonly LogRequest[]): Record<string, unknown>[] {
  return insertBlock(new SegmentEncoder().encode(makeSegment(segmentId, requests)).chunks);
}

function insertBlock(chunks: readonly Buffer[]): Record<string, unknown>[] {
  const file = join(folder, 'block.native');
  writeFileSync(file, Buffer.concat(chunks));
  session.query('TRUNCATE TABLE events');
  session.query(`INSERT INTO events FROM INFILE '${file}' COMPRESSION 'none' FORMAT Native`);
  const text = session.query(
    `SELECT *, toUnixTimestamp64Nano(time) AS nano, hex(trace_id) AS trace, hex(span_id) AS span FROM events ORDER BY producer_id, sequence
     SETTINGS output_format_json_quote_64bit_integers = 1, output_format_json_quote_denormals = 1`,
    'JSONEachRow',
  );
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const producer = {
  id: producerId(7),
  project: 'gpt2',
  run_id: 'run-1',
  job: 'train',
  host: 'node-1',
  rank: 3,
  attempt: 2,
};

test('every field of an event comes back from the engine as it was sent', () => {
  const rows = insert([
    {
      producer,
      first_sequence: '4294967300',
      events: [
        {
          time_unix_nano: '1700000000123456789',
          name: 'train.step',
          severity_number: 13,
          body: 'grüße 🚀',
          step: '-9007199254740993',
          metrics: { loss: 2.5, nan: Number.NaN, inf: Number.POSITIVE_INFINITY, tiny: 5e-324, zero: -0 },
          attributes: { note: 'x'.repeat(300), empty: '' },
          trace_id: Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex'),
          span_id: Buffer.from('0011223344556677', 'hex'),
        },
      ],
    },
  ]);
  assert.equal(rows.length, 1);
  const row = rows[0] as Record<string, unknown>;
  assert.deepEqual(
    {
      project: row['project'],
      run_id: row['run_id'],
      name: row['name'],
      rank: row['rank'],
      nano: row['nano'],
      step: row['step'],
      severity_number: row['severity_number'],
      body: row['body'],
      attributes: row['attributes'],
      job: row['job'],
      host: row['host'],
      attempt: row['attempt'],
      trace: row['trace'],
      span: row['span'],
      producer_id: row['producer_id'],
      sequence: row['sequence'],
      received_date: row['received_date'],
      batch_id: row['batch_id'],
    },
    {
      project: 'gpt2',
      run_id: 'run-1',
      name: 'train.step',
      rank: 3,
      nano: '1700000000123456789',
      step: '-9007199254740993',
      severity_number: 13,
      body: 'grüße 🚀',
      attributes: { note: 'x'.repeat(300), empty: '' },
      job: 'train',
      host: 'node-1',
      attempt: 2,
      trace: '000102030405060708090A0B0C0D0E0F',
      span: '0011223344556677',
      producer_id: '01930000-0000-7000-8000-000000000007',
      sequence: '4294967300',
      received_date: '2024-11-19',
      batch_id: segmentId,
    },
  );
  assert.deepEqual(row['metrics'], { loss: 2.5, nan: 'nan', inf: 'inf', tiny: 5e-324, zero: -0 });
});

test('what is absent gets its documented meaning', () => {
  const [row] = insert([{ producer: { id: producerId(1) }, first_sequence: '1', events: [{}] }]);
  assert.equal(row?.['project'], 'default');
  assert.equal(row?.['run_id'], 'default');
  assert.equal(row?.['name'], 'log');
  assert.equal(row?.['severity_number'], 9);
  assert.equal(row?.['step'], null);
  assert.equal(row?.['nano'], '1700000000000000000');
  assert.deepEqual(row?.['metrics'], {});
  assert.deepEqual(row?.['attributes'], {});
});

test('a key that comes twice keeps its last value, in metrics and in attributes', () => {
  const once = makeSegment(segmentId, [
    {
      producer,
      first_sequence: '1',
      events: [{ metrics: { aa: 1, bb: 2 }, attributes: { ka: 'first', kb: 'b' } }],
    },
  ]);
  const bytes = Buffer.from(once.bytes);
  bytes.write('aa', bytes.indexOf('bb'));
  bytes.write('ka', bytes.indexOf('kb'));
  const [row] = insertBlock(new SegmentEncoder().encode({ ...once, bytes }).chunks);
  assert.deepEqual(row?.['metrics'], { aa: 2 });
  assert.deepEqual(row?.['attributes'], { ka: 'b' });
});

test('rejected events are left out and losses shift the numbers of the others', () => {
  const rows = insert([
    {
      producer,
      first_sequence: '1',
      events: [{ body: 'one' }, { body: 'bad', severity_number: 99 }, { body: 'seven' }],
      losses: [{ first_sequence: '3', count: '4', reason: 'LOSS_REASON_BUFFER_FULL' }],
    },
  ]);
  assert.deepEqual(
    rows.map((row) => [row['sequence'], row['body']]),
    [
      ['1', 'one'],
      ['7', 'seven'],
    ],
  );
});

test('a block leaves sorted by the table key, so that the engine does not sort it', () => {
  const events = (base: number) =>
    Array.from({ length: 2000 }, (_, index) => ({
      name: ['train.step', 'eval', 'checkpoint'][index % 3] as string,
      // Out of order within a producer, too.
      time_unix_nano: String(1_700_000_000_000_000_000n + BigInt(((index * 7919) % 2000) + base)),
      metrics: { value: index },
    }));
  const requests = [5, 3, 9, 1].map((number) => ({
    producer: { id: producerId(number), project: number % 2 ? 'b' : 'a', run_id: 'r', rank: number % 4 },
    first_sequence: '1',
    events: events(number),
  }));
  const file = join(folder, 'sorted.native');
  writeFileSync(file, Buffer.concat(new SegmentEncoder().encode(makeSegment(segmentId, requests)).chunks));
  session.query('TRUNCATE TABLE events');
  const counter = (): number =>
    Number(
      session.query(
        "SELECT value FROM system.events WHERE event = 'MergeTreeDataWriterBlocksAlreadySorted'",
        'TSV',
      ) || 0,
    );
  const before = counter();
  session.query(`INSERT INTO events FROM INFILE '${file}' COMPRESSION 'none' FORMAT Native`);
  assert.equal(counter() - before, 1);
  assert.equal(
    session.query('SELECT count(), uniqExact(producer_id, sequence) FROM events', 'TSV').trim(),
    '8000\t8000',
  );
});

test('more than 256 and more than 65,536 distinct keys widen the indexes', () => {
  const requests = [0, 1, 2].map((part) => ({
    producer,
    first_sequence: String(part * 100 + 1),
    events: Array.from({ length: 100 }, (_, index) => ({
      name: `name-${part}-${index % 90}`,
      metrics: Object.fromEntries(Array.from({ length: 250 }, (_, key) => [`m${part}.${index}.${key}`, key])),
    })),
  }));
  const rows = insert(requests);
  assert.equal(rows.length, 300);
  const last = rows.at(-1) as { metrics: Record<string, number>; name: string };
  assert.equal(last.name, 'name-2-9');
  assert.equal(last.metrics['m2.99.249'], 249);
  assert.equal(Object.keys(last.metrics).length, 250);
});

test('an encoder that is used again gives the same bytes as a new one', () => {
  const first = makeSegment(segmentId, [
    { producer, first_sequence: '1', events: [{ name: 'a', metrics: { x: 1 } }, { body: 'b' }] },
  ]);
  const second = makeSegment(segmentId, [
    {
      producer: { id: producerId(2), run_id: 'other' },
      first_sequence: '9',
      events: [{ name: 'zz', attributes: { y: '2' } }],
    },
  ]);
  const encoder = new SegmentEncoder();
  encoder.encode(first);
  assert.deepEqual(
    Buffer.concat(encoder.encode(second).chunks),
    Buffer.concat(new SegmentEncoder().encode(second).chunks),
  );
});

test('the golden block is what the encoder writes, byte for byte, and the engine reads it', () => {
  const segment = makeSegment(segmentId, [
    {
      producer,
      first_sequence: '1',
      events: [
        {
          time_unix_nano: '1700000000000000001',
          name: 'train.step',
          step: '1',
          metrics: { loss: 10.96, lr: 0.001 },
          attributes: { phase: 'warmup' },
        },
        {
          time_unix_nano: '1700000000000000002',
          name: 'train.step',
          step: '2',
          metrics: { loss: 10.81, lr: 0.002 },
          attributes: { phase: 'warmup' },
        },
        { time_unix_nano: '1700000000000000003', severity_number: 17, body: 'out of memory' },
      ],
    },
  ]);
  const bytes = Buffer.concat(new SegmentEncoder().encode(segment).chunks);
  const file = join(golden, 'three-events.native.hex');
  if (process.env['SLUICE_WRITE_GOLDEN'] === '1')
    writeFileSync(file, `${bytes.toString('hex').replace(/.{96}/g, '$&\n')}\n`);
  const want = Buffer.from(readFileSync(file, 'latin1').replace(/\s/g, ''), 'hex');
  assert.deepEqual(bytes, want);
  const rows = insertBlock([want]);
  assert.deepEqual(
    rows.map((row) => [row['sequence'], row['name'], row['body'], row['metrics']]),
    [
      ['1', 'train.step', '', { loss: 10.96, lr: 0.001 }],
      ['2', 'train.step', '', { loss: 10.81, lr: 0.002 }],
      ['3', 'log', 'out of memory', {}],
    ],
  );
});

test('columns grow and shrink with the segments without mixing them', () => {
  const columns = new EventColumns();
  columns.reset(10);
  columns.reset(1000);
  assert.ok(columns.severity.length >= 1000);
  columns.reset(3);
  assert.equal(columns.rows, 0);
});
