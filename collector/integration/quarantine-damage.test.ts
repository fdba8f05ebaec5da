/** A segment whose file is damaged: what it held and cannot give back is in SQL, once, and its file is kept. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import type { FaultPlan } from '@sluice/collector/fault-points.js';
import { producerId } from '@sluice/collector/testing/wire.js';
import { type CollectorProcess, RawClient, startCollector, testConfig, until } from './collector-harness.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

let folder: string;
let store: StoreProcess;
let collector: CollectorProcess;
beforeEach(async () => {
  folder = await newDataDir();
  store = await startStore({ dataDir: `${folder}/store` });
});
afterEach(async () => {
  await collector.kill();
  await store.stop();
  await removeDataDir(folder);
});

const config = () => ({ ...testConfig(folder, store.url), wal: { segmentAgeMs: 40, segmentMostAgeMs: 40 } });
const segments = (): string[] =>
  readdirSync(`${folder}/wal`)
    .filter((name) => name.endsWith('.wal'))
    .sort();
const number = async (sql: string): Promise<number> => Number(await store.sql(sql));
const producers = [1, 2];
const calls = 6;
const perCall = 30;

/** A log of several segments that nobody has stored. */
async function leaveSegments(): Promise<void> {
  const { url, port } = store;
  // Known to the table of producers, for the segment that cannot name them any more.
  collector = await startCollector(config());
  const send = async (call: number): Promise<void> => {
    const client = new RawClient(collector.port);
    for (const producer of producers) {
      const outcome = await client.log([
        {
          producer: { id: producerId(producer), project: 'p', run_id: 'damaged', rank: producer },
          first_sequence: String(call * perCall + 1),
          events: Array.from({ length: perCall }, (_, index) => ({
            step: String(call * perCall + index + 1),
          })),
        },
      ]);
      assert.equal(outcome.kind, 'ok');
    }
    client.close();
    await new Promise((resolve) => setTimeout(resolve, 120));
  };
  await send(0);
  await until(
    () => number('SELECT count() FROM events'),
    (events) => events === perCall * producers.length,
  );
  await store.stop();
  for (let call = 1; call < calls; call++) await send(call);
  await collector.kill();
  store = await startStore({ dataDir: `${folder}/store`, port });
  assert.equal(store.url, url);
}

async function settle(faults: readonly FaultPlan[]): Promise<void> {
  for (const plan of faults) {
    collector = await startCollector(config(), plan);
    await Promise.race([collector.exited, new Promise((resolve) => setTimeout(resolve, 4000))]);
    await collector.kill();
  }
  collector = await startCollector(config());
  await until(
    async () => segments().length,
    (files) => files === 1,
  );
}

/** Every number is an event once or lies in one loss; returns how many are lost. */
async function assertCovered(): Promise<number> {
  assert.equal(await number('SELECT count() FROM sequence_gaps'), 0);
  assert.equal(await number('SELECT count() - uniqExact(producer_id, sequence) FROM events'), 0);
  const events = await number('SELECT count() FROM events');
  const lost = await number('SELECT sum(last_sequence - first_sequence + 1) FROM losses');
  assert.equal(events + lost, calls * perCall * producers.length);
  return lost;
}

const kills: readonly (readonly FaultPlan[])[] = [
  [],
  [1, 2, 3, 4, 5, 6].map((hit) => ({ killAt: { point: 'insert.after', hit } })),
];

for (const faults of kills) {
  const how = faults.length === 0 ? 'in one go' : 'although every start is killed after an insert';
  test(`a segment that is damaged in its middle is reported once, ${how}`, async () => {
    await leaveSegments();
    const [, second = ''] = segments();
    const file = `${folder}/wal/${second}`;
    const bytes = readFileSync(file);
    const at = bytes.lastIndexOf(producerId(2)) + 60;
    bytes.fill(0xee, at, Math.min(at + 40, bytes.length - 40));
    writeFileSync(file, bytes);
    await settle(faults);
    const lost = await assertCovered();
    assert.ok(lost > 0 && lost <= perCall * producers.length, `${lost} are lost`);
    assert.equal(
      await store.sql(
        "SELECT uniqExact(batch_id), min(origin), max(origin), min(reason), max(reason), min(run_id), countIf(rank = 0 OR detail NOT LIKE 'segment % is damaged: %wal/damaged') FROM losses",
      ),
      '1\tcollector\tcollector\tdamaged\tdamaged\tdamaged\t0\n',
    );
    assert.equal(
      await store.sql('SELECT batch_id, events, request, error_code FROM quarantine'),
      `${second.slice(0, 36)}.damage\t0\t\t0\n`,
    );
    assert.deepEqual(readdirSync(`${folder}/wal/damaged`), [second]);
  });
}

test('a segment of which nothing can be read is reported under the names that the table of producers knows', async () => {
  await leaveSegments();
  const [, , third = ''] = segments();
  const file = `${folder}/wal/${third}`;
  writeFileSync(file, Buffer.alloc(statSync(file).size, 0x5a));
  await settle([]);
  const lost = await assertCovered();
  assert.ok(lost > 0);
  assert.equal(
    await store.sql(
      "SELECT uniqExact(batch_id), min(run_id), max(project), min(rank) FROM losses WHERE reason = 'damaged'",
    ),
    '1\tdamaged\tp\t1\n',
  );
  assert.equal(
    await number("SELECT count() FROM quarantine WHERE events = 0 AND endsWith(batch_id, '.damage')"),
    1,
  );
});

test('a segment that is damaged in the middle of its bisection doubles nothing, and its file is reported once', async () => {
  const settings = { ...config(), wal: { segmentEvents: 400, segmentAgeMs: 300, segmentMostAgeMs: 300 } };
  collector = await startCollector(settings);
  await store.sql('ALTER TABLE events ADD CONSTRAINT allowed CHECK step != 77');
  await collector.stop();
  collector = await startCollector(settings, { killAt: { point: 'insert.after', hit: 9 } });
  const client = new RawClient(collector.port);
  await client.log([
    {
      producer: { id: producerId(1), project: 'p', run_id: 'damaged', rank: 1 },
      first_sequence: '1',
      events: Array.from({ length: 400 }, (_, index) => ({ step: String(index + 1) })),
    },
  ]);
  client.close();
  await collector.exited;
  const stored = await number('SELECT count() FROM events');
  assert.ok(stored > 0 && stored < 399, `${stored} are stored`);
  const [first = ''] = segments();
  const bytes = readFileSync(`${folder}/wal/${first}`);
  bytes.fill(0xee, 900, 940);
  writeFileSync(`${folder}/wal/${first}`, bytes);
  for (const hit of [1, 2]) {
    collector = await startCollector(settings, { killAt: { point: 'insert.after', hit } });
    await Promise.race([collector.exited, new Promise((resolve) => setTimeout(resolve, 3000))]);
    await collector.kill();
  }
  collector = await startCollector(settings);
  await until(
    async () => segments().length,
    (files) => files === 1,
  );
  assert.equal(await store.sql('SELECT count(), uniqExact(sequence) FROM events'), `${stored}\t${stored}\n`);
  assert.equal(
    await store.sql('SELECT batch_id, events FROM quarantine'),
    `${first.slice(0, 36)}.late-damage\t0\n`,
  );
  assert.deepEqual(readdirSync(`${folder}/wal/damaged`), [first]);
});

test('a segment that rots while its collector bisects it doubles nothing, and its file is reported once', async () => {
  // Sound when it is refused as a whole; damaged when its parts are read.
  let inserts = 0;
  const proxy = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const { url = '' } = request;
      if (url.includes('INSERT+INTO+events') && ++inserts === 6) {
        const file = `${folder}/wal/${segments()[0]}`;
        const bytes = readFileSync(file);
        bytes.fill(0xee, 900, 940);
        writeFileSync(file, bytes);
      }
      const answer = await fetch(`${store.url}${url}`, { method: 'POST', body: Buffer.concat(chunks) });
      const code = answer.headers.get('x-clickhouse-exception-code');
      response
        .writeHead(answer.status, {
          'x-clickhouse-summary': '{}',
          ...(code !== null && { 'x-clickhouse-exception-code': code }),
        })
        .end(await answer.text());
    });
  }).listen(0, '127.0.0.1');
  try {
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    collector = await startCollector({
      ...testConfig(folder, `http://127.0.0.1:${port}`),
      wal: { segmentEvents: 400, segmentAgeMs: 300, segmentMostAgeMs: 300 },
    });
    await store.sql('ALTER TABLE events ADD CONSTRAINT allowed CHECK step != 77');
    const client = new RawClient(collector.port);
    await client.log(
      Array.from({ length: 8 }, (_, request) => ({
        producer: { id: producerId(1), project: 'p', run_id: 'rots', rank: 1 },
        first_sequence: String(request * 50 + 1),
        events: Array.from({ length: 50 }, (_, index) => ({ step: String(request * 50 + index + 1) })),
      })),
    );
    client.close();
    const [first = ''] = segments();
    await until(
      () => number("SELECT count() FROM quarantine WHERE events = 0 AND endsWith(batch_id, '.late-damage')"),
      (reports) => reports === 1,
    );
    await until(
      async () => readdirSync(`${folder}/wal/damaged`),
      (files) => files.join() === first,
    );
    // Each part holds what its name says.
    assert.equal(
      await number(
        "SELECT countIf(sequence <= toUInt32(extract(batch_id, '\\\\.(\\\\d+)-')) OR sequence > toUInt32(extract(batch_id, '-(\\\\d+)$'))) FROM events",
      ),
      0,
    );
    const stored = await number('SELECT count() FROM events');
    assert.ok(stored > 0 && stored < 399, `${stored} are stored`);
    assert.equal(await number('SELECT count() - uniqExact(sequence) FROM events'), 0);
  } finally {
    await collector.kill();
    proxy.closeAllConnections();
    proxy.close();
  }
});
