/** What clients send, good and bad, against a real collector and a real store. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { encodeRequest, producerId } from '@sluice/collector/testing/wire.js';
import { expectedSequenceKey } from '@sluice/proto';
import { type CollectorProcess, RawClient, startCollector, testConfig, until } from './collector-harness.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

let store: StoreProcess;
let collector: CollectorProcess;
let client: RawClient;
let folder: string;
before(async () => {
  folder = await newDataDir();
  store = await startStore({ dataDir: `${folder}/store` });
  collector = await startCollector(testConfig(folder, store.url, { message: { messageBytes: 2_000_000 } }));
  client = new RawClient(collector.port);
});
after(async () => {
  client.close();
  await collector.stop();
  await store.stop();
  await removeDataDir(folder);
});

let producers = 0;
const newProducer = () => ({ id: producerId(++producers), project: 'wire', run_id: `run-${producers}` });
const events = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: 'e', step: String(index) }));

const storedSequences = (run: string): Promise<string> =>
  store
    .sql(`SELECT arrayStringConcat(arraySort(groupArray(sequence)), ',') FROM events WHERE run_id = '${run}'`)
    .then((text) => text.trim());

test('a call is acknowledged with what is durable, and its events are committed', async () => {
  const producer = newProducer();
  const outcome = await client.log([
    { producer, first_sequence: '1', events: events(3) },
    { first_sequence: '4', events: events(2) },
  ]);
  assert.ok(outcome.kind === 'ok');
  const { call_age_ms = 0, ...acknowledged } = outcome.response;
  assert.deepEqual(acknowledged, {
    durable_sequence: '5',
    accepted: '5',
    duplicates: '0',
    rejections: [],
  });
  // One of few producers: it may have its acknowledgments soon.
  assert.ok(call_age_ms > 50 && call_age_ms < 200, `call_age_ms is ${call_age_ms}`);
  await until(
    () => storedSequences(producer.run_id),
    (text) => text === '1,2,3,4,5',
  );
});

test('a request that comes again is acknowledged and not stored again', async () => {
  const producer = newProducer();
  const request = { producer, first_sequence: '1', events: events(4) };
  await client.log([request]);
  const outcome = await client.log([request, { first_sequence: '5', events: events(1) }]);
  assert.ok(outcome.kind === 'ok');
  assert.equal(outcome.response.duplicates, '4');
  assert.equal(outcome.response.accepted, '1');
  assert.equal(outcome.response.durable_sequence, '5');
  await until(
    () => storedSequences(producer.run_id),
    (text) => text === '1,2,3,4,5',
  );
});

test('a hole is refused with FAILED_PRECONDITION and the sequence to go on from', async () => {
  const producer = newProducer();
  const outcome = await client.log([
    { producer, first_sequence: '1', events: events(2) },
    { first_sequence: '4', events: events(1) },
  ]);
  assert.ok(outcome.kind === 'error');
  assert.equal(outcome.code, status.FAILED_PRECONDITION);
  assert.deepEqual(outcome.metadata.get(expectedSequenceKey), ['3']);
  assert.match(outcome.details, /sequences 4 to 4.*up to 2.*start at 3/);
  await until(
    () => storedSequences(producer.run_id),
    (text) => text === '1,2',
  );
});

test('LogOnce keeps the same rules', async () => {
  const producer = newProducer();
  const first = await client.logOnce({ producer, first_sequence: '1', events: events(2) });
  assert.ok(first.kind === 'ok');
  assert.equal(first.response.durable_sequence, '2');
  const hole = await client.logOnce({ producer, first_sequence: '9', events: events(1) });
  assert.ok(hole.kind === 'error');
  assert.equal(hole.code, status.FAILED_PRECONDITION);
});

test('a call without a producer, and a call without a message, are refused with what is missing', async () => {
  const nameless = await client.log([{ first_sequence: '1', events: events(1) }]);
  assert.ok(nameless.kind === 'error');
  assert.equal(nameless.code, status.INVALID_ARGUMENT);
  assert.match(nameless.details, /names no producer/);
  const empty = await client.log([]);
  assert.ok(empty.kind === 'error');
  assert.equal(empty.code, status.INVALID_ARGUMENT);
});

test('a producer id of the wrong length is refused with its length', async () => {
  const outcome = await client.log([
    { producer: { id: Buffer.from('short') }, first_sequence: '1', events: events(1) },
  ]);
  assert.ok(outcome.kind === 'error');
  assert.equal(outcome.code, status.INVALID_ARGUMENT);
  assert.match(outcome.details, /producer\.id has 5 bytes; it must be a UUIDv7 of 16 bytes/);
});

test('malformed and truncated Protobuf fails the call, stores nothing of that message, and costs no one else', async () => {
  const producer = newProducer();
  const whole = encodeRequest({ first_sequence: '3', events: events(2) });
  const outcome = await client.log([
    { producer, first_sequence: '1', events: events(2) },
    whole.subarray(0, whole.length - 3),
  ]);
  assert.ok(outcome.kind === 'error');
  assert.equal(outcome.code, status.INVALID_ARGUMENT);
  const garbage = await client.log([Buffer.from('this is not protobuf')]);
  assert.ok(garbage.kind === 'error');
  assert.equal(garbage.code, status.INVALID_ARGUMENT);
  const next = await client.log([{ producer, first_sequence: '3', events: events(1) }]);
  assert.ok(next.kind === 'ok');
  await until(
    () => storedSequences(producer.run_id),
    (text) => text === '1,2,3',
  );
});

test('an event that breaks a limit is rejected alone, is told, and is a row in losses', async () => {
  const producer = newProducer();
  const tooMany = Object.fromEntries(Array.from({ length: 1025 }, (_, index) => [`k${index}`, index]));
  const outcome = await client.log([
    {
      producer,
      first_sequence: '1',
      events: [{ name: 'good' }, { metrics: tooMany }, { name: 'n'.repeat(300) }, { name: 'good' }],
    },
  ]);
  assert.ok(outcome.kind === 'ok');
  assert.equal(outcome.response.durable_sequence, '4');
  assert.deepEqual(
    (outcome.response.rejections ?? []).map(({ sequence, reason }) => [sequence, reason]),
    [
      ['2', 'REJECTION_REASON_TOO_MANY_KEYS'],
      ['3', 'REJECTION_REASON_NAME_TOO_LONG'],
    ],
  );
  await until(
    () => storedSequences(producer.run_id),
    (text) => text === '1,4',
  );
  const losses = await store.sql(
    `SELECT first_sequence, last_sequence, origin, reason FROM losses WHERE run_id = '${producer.run_id}' ORDER BY first_sequence`,
  );
  assert.equal(losses, '2\t2\tcollector\ttoo_many_keys\n3\t3\tcollector\tname_too_long\n');
});

test('losses that an SDK reports are rows with their range, and leave no gap', async () => {
  const producer = newProducer();
  const outcome = await client.log([
    {
      producer,
      first_sequence: '1',
      events: events(2),
      losses: [
        {
          first_sequence: '2',
          count: '10',
          reason: 'LOSS_REASON_BUFFER_FULL',
          detail: 'test',
          time_unix_nano: '1700000000123456789',
        },
      ],
    },
  ]);
  assert.ok(outcome.kind === 'ok');
  assert.equal(outcome.response.durable_sequence, '12');
  await until(
    () => storedSequences(producer.run_id),
    (text) => text === '1,12',
  );
  const losses = await store.sql(
    `SELECT first_sequence, last_sequence, origin, reason, detail, toUnixTimestamp64Nano(time) FROM losses WHERE run_id = '${producer.run_id}'`,
  );
  assert.equal(losses, '2\t11\tsdk\tbuffer_full\ttest\t1700000000123456789\n');
  assert.equal(await store.sql('SELECT count() FROM sequence_gaps'), '0\n');
});

test('a producer whose clock reads 1970 costs nobody an event, and its times are kept', async () => {
  for (const nano of ['1', '1000000000', '1800000000000', '999999999999999999', '9223372036854775807']) {
    const producer = { ...newProducer(), start_time_unix_nano: nano };
    const outcome = await client.log([
      {
        producer,
        first_sequence: '1',
        events: [{ time_unix_nano: nano }],
        losses: [{ first_sequence: '2', count: '1', reason: 'LOSS_REASON_CLOSED', time_unix_nano: nano }],
      },
    ]);
    assert.equal(outcome.kind, 'ok');
    const stored = await until(
      () => store.sql(`SELECT toUnixTimestamp64Nano(time) FROM events WHERE run_id = '${producer.run_id}'`),
      (text) => text !== '',
    );
    assert.equal(stored, `${nano}\n`);
    assert.equal(
      await store.sql(
        `SELECT toUnixTimestamp64Nano(time) FROM losses WHERE run_id = '${producer.run_id}' UNION ALL SELECT toUnixTimestamp64Nano(start_time) FROM producers WHERE run_id = '${producer.run_id}'`,
      ),
      `${nano}\n${nano}\n`,
    );
  }
});

test('calls that store nothing do not make the log forget anyone', async () => {
  const producer = newProducer();
  const request = { producer, first_sequence: '1', events: events(1) };
  await client.log([request]);
  for (let call = 0; call < 200; call++) await client.logOnce({ producer: newProducer() });
  const again = await client.log([request]);
  assert.ok(again.kind === 'ok');
  assert.equal(again.response.duplicates, '1');
});

test('a producer that is too large is refused', async () => {
  const labels = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`label-${index}`, 'x'.repeat(1000)]),
  );
  const outcome = await client.log([
    { producer: { ...newProducer(), labels }, first_sequence: '1', events: events(1) },
  ]);
  assert.ok(outcome.kind === 'error');
  assert.equal(outcome.code, status.INVALID_ARGUMENT);
  assert.match(outcome.details, /the producer has \d+ bytes; at most 196608/);
});

test('a message over the limit is refused and the collector goes on', async () => {
  const producer = newProducer();
  const outcome = await client.log([
    { producer, first_sequence: '1', events: [{ body: 'x'.repeat(2_100_000) }] },
  ]);
  assert.ok(outcome.kind === 'error');
  assert.equal(outcome.code, status.RESOURCE_EXHAUSTED);
  const next = await client.log([{ producer, first_sequence: '1', events: events(1) }]);
  assert.equal(next.kind, 'ok');
});

test('a block whose arrays do not fit is refused with what is wrong, and nothing of its call is stored', async () => {
  const id = '01930000-0000-7000-8000-00000000b10c';
  const producer = { ...newProducer(), id: Buffer.from(id.replaceAll('-', ''), 'hex') };
  const blocks = await client.log([
    { producer, first_sequence: '1', blocks: [{ name: 'x', count: 2, sequence_delta: [0] }] },
  ]);
  assert.ok(blocks.kind === 'error');
  assert.equal(blocks.code, status.INVALID_ARGUMENT);
  assert.match(blocks.details, /sequence_delta of a block has 1 bytes; its 2 events take 2 to 20/);
  assert.equal(await store.sql(`SELECT count() FROM events WHERE producer_id = '${id}'`), '0\n');
});

test('a gap that no loss explains would show in sequence_gaps', async () => {
  const id = '01930000-0000-7000-8000-00000000beef';
  await store.sql(
    `INSERT INTO events (project, run_id, name, producer_id, sequence, received_date, batch_id) SELECT 'gap', 'gap', 'x', '${id}', number, today(), 'test' FROM numbers(5, 10)`,
  );
  await store.sql(
    `INSERT INTO events (project, run_id, name, producer_id, sequence, received_date, batch_id) SELECT 'gap', 'gap', 'x', '${id}', number, today(), 'test' FROM numbers(20, 3)`,
  );
  assert.equal(await store.sql('SELECT first_sequence, last_sequence FROM sequence_gaps'), '15\t19\n');
  await store.sql(
    `INSERT INTO losses (project, run_id, producer_id, first_sequence, last_sequence, received_date, batch_id) VALUES ('gap', 'gap', '${id}', 15, 19, today(), 'test')`,
  );
  assert.equal(await store.sql('SELECT count() FROM sequence_gaps'), '0\n');
});
