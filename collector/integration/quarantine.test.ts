/** What ClickHouse refuses for good: found by bisection, kept with its reason, everything else stored. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { producerId } from '@sluice/collector/testing/wire.js';
import {
  addConstraint,
  assertExact,
  bad,
  close,
  config,
  log,
  makeRequests,
  number,
  open,
  settled,
  sql,
  start,
} from './quarantine-harness.js';

beforeEach(open);
afterEach(close);

test('of thousands of events exactly those that a constraint refuses are quarantined, each with its own reason', async () => {
  await start(config(5000));
  await addConstraint();
  const isBad = (sequence: number): boolean => [1, 17, 18, 999, 2500, 4999, 5000].includes(sequence);
  await log(makeRequests({ events: 5000, perRequest: 300, isBad }));
  await settled(5000);
  await assertExact(5000, bad(5000, isBad));
  assert.equal(await number('SELECT count() FROM quarantine WHERE events = 1 AND error_code = 469'), 7);
  assert.equal(
    await number("SELECT count() FROM quarantine WHERE position(error, 'allowed') > 0 AND request != ''"),
    7,
  );
  assert.equal(
    await number(
      'SELECT count() FROM (SELECT batch_id FROM quarantine INTERSECT SELECT batch_id FROM losses)',
    ),
    7,
  );
});

test('a segment of which everything is refused ends within its inserts, and nothing is lost', async () => {
  await start(config(20_000, { bisectionInserts: 100 }));
  await addConstraint();
  await log(makeRequests({ events: 20_000, perRequest: 5000, isBad: () => true }));
  await settled(20_000);
  await assertExact(
    20_000,
    bad(20_000, () => true),
  );
  assert.ok((await number('SELECT count() FROM quarantine')) <= 110);
});

test('when every other event is refused, each one is found', async () => {
  await start(config(200));
  await addConstraint();
  const isBad = (sequence: number): boolean => sequence % 2 === 0;
  await log(makeRequests({ events: 200, perRequest: 200, isBad }));
  await settled(200);
  await assertExact(200, bad(200, isBad));
});

test('beyond the limit of inserts ranges are quarantined as they are, and good events in them are not lost', async () => {
  await start(config(3000, { bisectionInserts: 30 }));
  await addConstraint();
  await log(makeRequests({ events: 3000, perRequest: 700, isBad: (sequence) => sequence % 400 === 0 }));
  await settled(3000);
  assert.equal(
    await number('SELECT (SELECT count() FROM events) + (SELECT sum(events) FROM quarantine)'),
    3000,
  );
  assert.equal(
    await number('SELECT sum(last_sequence - first_sequence + 1) FROM losses'),
    3000 - (await number('SELECT count() FROM events')),
  );
  assert.equal(await number('SELECT count() FROM sequence_gaps'), 0);
  assert.ok((await number('SELECT count() FROM events')) > 0);
});

test('events around rejected ones and losses are quarantined under their own numbers', async () => {
  await start(config(5000));
  await addConstraint();
  const events = Array.from({ length: 40 }, (_, index) => ({
    body: `b${index}`,
    ...(index % 4 === 1 && { severity_number: 99 }),
    ...(index % 5 === 2 && { metrics: { forbidden: 1 } }),
  }));
  await log([
    {
      producer: { id: producerId(1), run_id: 'r' },
      first_sequence: '1',
      events,
      losses: [{ first_sequence: '3', count: '10', reason: 'LOSS_REASON_BUFFER_FULL' }],
    },
  ]);
  await settled(30);
  const isRefused = (index: number): boolean => index % 5 === 2 && index % 4 !== 1;
  const sequenceOf = (index: number): number => (index < 2 ? index + 1 : index + 11);
  const refused = events.map((_, index) => index).filter(isRefused);
  assert.equal(
    await sql('SELECT first_sequence FROM quarantine ORDER BY first_sequence'),
    refused.map((index) => `${sequenceOf(index)}\n`).join(''),
  );
  assert.equal(
    await number(
      'SELECT count() FROM events WHERE sequence != toUInt32(substring(body, 2)) + if(toUInt32(substring(body, 2)) < 2, 1, 11)',
    ),
    0,
  );
  assert.equal(await number('SELECT count() FROM events'), 40 - 10 - refused.length);
  assert.equal(await number('SELECT count() FROM sequence_gaps'), 0);
});

test('a view that throws does not put into quarantine what is in the table', async () => {
  await start(config(2000));
  await sql(
    "CREATE MATERIALIZED VIEW broken ENGINE = MergeTree ORDER BY n AS SELECT throwIf(metrics['forbidden'] = 1) AS n FROM events",
  );
  await log(makeRequests({ events: 2000, perRequest: 500, isBad: (sequence) => sequence === 777 }));
  await settled(2000);
  const stored = await number('SELECT uniqExact(sequence) FROM events');
  assert.equal(await number('SELECT count() FROM events'), stored);
  assert.equal(stored + (await number('SELECT sum(events) FROM quarantine')), 2000);
  assert.equal(await number('SELECT count() FROM sequence_gaps'), 0);
});
