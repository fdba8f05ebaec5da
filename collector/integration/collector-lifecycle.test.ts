/** Starts, stops, kills and outages of a real collector beside a real store. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { producerId } from '@sluice/collector/testing/wire.js';
import { createLogger } from '@sluice/sdk';
import { failToStartCollector, RawClient, startCollector, testConfig, until } from './collector-harness.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

let folder: string;
let store: StoreProcess;
beforeEach(async () => {
  folder = await newDataDir();
  store = await startStore({ dataDir: `${folder}/store` });
});
afterEach(async () => {
  await store.stop();
  await removeDataDir(folder);
});

const count = async (url = store): Promise<number> =>
  Number(await url.sql('SELECT count() FROM events').catch(() => '-1'));
const segments = (): string[] => readdirSync(`${folder}/wal`).filter((name) => name.endsWith('.wal'));

test('after kill -9 in mid-stream and a restart, everything acknowledged is stored once and nothing twice', async () => {
  let collector = await startCollector(testConfig(folder, store.url));
  const address = `127.0.0.1:${collector.port}`;
  const config = { ...testConfig(folder, store.url), grpc: { address } };
  const loggers = [0, 1, 2].map((rank) =>
    createLogger({
      endpoint: address,
      project: 'kill',
      run: 'kill',
      rank,
      requestAgeMs: 20,
      callAgeMs: 50,
    }),
  );
  let logged = 0;
  const pump = setInterval(() => {
    for (const logger of loggers) {
      // A start may take long, and is not to be a matter of what a buffer holds.
      if (logger.stats().bufferedEvents > 20_000) continue;
      for (let index = 0; index < 100; index++) {
        logger.event(
          'train.step',
          { loss: logged, half: logged / 2, phase: `p${logged % 7}` },
          { step: logged },
        );
        logged++;
      }
    }
  }, 5);
  for (let round = 0; round < 4; round++) {
    await new Promise((resolve) => setTimeout(resolve, 300 + round * 130));
    await collector.kill();
    collector = await startCollector(config);
  }
  clearInterval(pump);
  const flushed = await Promise.all(loggers.map((logger) => logger.flush({ timeoutMs: 120_000 })));
  assert.deepEqual(
    flushed.map(({ acknowledged }) => acknowledged),
    [true, true, true],
  );
  const stats = loggers.map((logger) => logger.stats());
  assert.ok(
    stats.some(({ resends }) => resends > 0),
    'no kill hit a call: the test did not test',
  );
  const acknowledged = stats.reduce((sum, { acknowledged: events }) => sum + events, 0);
  assert.equal(acknowledged, logged);
  await until(count, (stored) => stored >= acknowledged);
  assert.equal(
    await store.sql(
      `SELECT count(), uniqExact(producer_id, sequence), uniqExact(step), countIf(metrics['loss'] != step OR metrics['half'] * 2 != step OR attributes['phase'] != concat('p', toString(step % 7))) FROM events`,
    ),
    `${acknowledged}\t${acknowledged}\t${acknowledged}\t0\n`,
  );
  assert.equal(await store.sql('SELECT count() FROM sequence_gaps'), '0\n');
  await Promise.all(loggers.map((logger) => logger.close()));
  assert.equal(await collector.stop(), 0);
});

test('without its store the collector starts, acknowledges, and delivers once the store is there', async () => {
  const { url, port } = store;
  await store.stop();
  const collector = await startCollector(testConfig(folder, url));
  const client = new RawClient(collector.port);
  for (let call = 0; call < 20; call++) {
    const outcome = await client.log([
      {
        producer: { id: producerId(1) },
        first_sequence: String(call * 10 + 1),
        events: Array.from({ length: 10 }, () => ({ name: 'x' })),
      },
    ]);
    assert.equal(outcome.kind, 'ok');
  }
  client.close();
  store = await startStore({ dataDir: `${folder}/store`, port });
  await until(count, (stored) => stored === 200);
  await until(
    async () => segments().length,
    (files) => files === 1,
  );
  assert.equal(await collector.stop(), 0);
});

test('when the disk budget is spent, calls get RESOURCE_EXHAUSTED and a delay, and nothing acknowledged is lost', async () => {
  const { url, port } = store;
  await store.stop();
  const collector = await startCollector({
    ...testConfig(folder, url),
    wal: { segmentAgeMs: 100, segmentMostAgeMs: 100, diskBytes: 300_000 },
  });
  const client = new RawClient(collector.port);
  let acknowledged = 0;
  for (let call = 0; call < 100; call++) {
    const outcome = await client.log([
      {
        producer: { id: producerId(1) },
        first_sequence: String(acknowledged + 1),
        events: [{ body: 'x'.repeat(20_000) }],
      },
    ]);
    if (outcome.kind === 'error') {
      assert.equal(outcome.code, 8);
      assert.match(outcome.details, /budget wal\.diskBytes is spent/);
      assert.ok(Number(outcome.metadata.get('sluice-retry-delay-ms')[0]) > 0);
      break;
    }
    acknowledged++;
  }
  assert.ok(acknowledged > 5 && acknowledged < 16, `${acknowledged} were taken`);
  store = await startStore({ dataDir: `${folder}/store`, port });
  await until(count, (stored) => stored === acknowledged);
  const again = await until(
    () =>
      client.log([
        {
          producer: { id: producerId(1) },
          first_sequence: String(acknowledged + 1),
          events: [{ name: 'again' }],
        },
      ]),
    (outcome) => outcome.kind === 'ok',
  );
  assert.equal(again.kind, 'ok');
  client.close();
  await collector.stop();
});

test('SIGTERM flushes what was acknowledged, and leaves nothing but an empty segment', async () => {
  const collector = await startCollector({
    ...testConfig(folder, store.url),
    wal: { segmentAgeMs: 60_000, segmentMostAgeMs: 60_000 },
  });
  const client = new RawClient(collector.port);
  await client.log([
    { producer: { id: producerId(1) }, first_sequence: '1', events: [{ name: 'x' }, { name: 'y' }] },
  ]);
  client.close();
  assert.equal(await count(), 0);
  assert.equal(await collector.stop(), 0);
  assert.equal(await count(), 2);
  assert.equal(segments().length, 1);
});

test('SIGTERM with the store away keeps the log for the next start, and the process ends', async () => {
  const { url, port } = store;
  const config = { ...testConfig(folder, url), stop: { flushMs: 300, callsMs: 300 } };
  const collector = await startCollector(config);
  await store.stop();
  const client = new RawClient(collector.port);
  await client.log([{ producer: { id: producerId(1) }, first_sequence: '1', events: [{ name: 'x' }] }]);
  client.close();
  assert.equal(await collector.stop(), 0);
  store = await startStore({ dataDir: `${folder}/store`, port });
  const next = await startCollector(config);
  await until(count, (stored) => stored === 1);
  await next.stop();
});

test('a producer goes on after a restart where its acknowledgment stands, and a resend is a duplicate', async () => {
  const config = testConfig(folder, store.url);
  const first = await startCollector(config);
  let client = new RawClient(first.port);
  await client.log([{ producer: { id: producerId(1) }, first_sequence: '1', events: [{}, {}, {}] }]);
  client.close();
  await first.stop();
  const second = await startCollector(config);
  client = new RawClient(second.port);
  const resent = await client.log([
    { producer: { id: producerId(1) }, first_sequence: '2', events: [{}, {}] },
  ]);
  assert.ok(resent.kind === 'ok');
  assert.equal(resent.response.duplicates, '2');
  const hole = await client.log([{ producer: { id: producerId(1) }, first_sequence: '6', events: [{}] }]);
  assert.equal(hole.kind, 'error');
  client.close();
  await second.stop();
  await until(count, (stored) => stored === 3);
});

test('an INSERT that commits and whose answer is lost is found committed, not sent twice', async () => {
  let cuts = 0;
  const proxy = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const answer = await fetch(`${store.url}${request.url}`, {
        method: 'POST',
        body: Buffer.concat(chunks),
      });
      const body = await answer.text();
      if (request.url?.includes('INSERT+INTO+events') && cuts < 3) {
        cuts++;
        if (cuts === 1) request.socket.destroy();
        else if (cuts === 2) response.writeHead(502).end('bad gateway');
        else
          response
            .writeHead(200, { 'x-clickhouse-query-id': 'q' })
            .end('Code: 159. DB::Exception: Timeout exceeded (TIMEOUT_EXCEEDED)');
        return;
      }
      const headers = Object.fromEntries(
        ['x-clickhouse-exception-code', 'x-clickhouse-summary'].flatMap((name) => {
          const value = answer.headers.get(name);
          return value === null ? [] : [[name, value]];
        }),
      );
      response.writeHead(answer.status, headers).end(body);
    });
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  const collector = await startCollector(testConfig(folder, `http://127.0.0.1:${port}`));
  await store.sql('ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 0');
  const client = new RawClient(collector.port);
  for (let call = 0; call < 4; call++) {
    await client.log([
      { producer: { id: producerId(1) }, first_sequence: String(call * 2 + 1), events: [{}, {}] },
    ]);
    await until(count, (stored) => stored >= call * 2 + 2);
    await until(
      async () => segments().length,
      (files) => files === 1,
    );
  }
  client.close();
  assert.equal(cuts, 3);
  assert.equal(await store.sql('SELECT count(), uniqExact(sequence) FROM events'), '8\t8\n');
  await collector.stop();
  proxy.closeAllConnections();
  proxy.close();
});

test('the event that ClickHouse refuses for good goes to quarantine with its reason, and the rest is stored', async () => {
  const collector = await startCollector(testConfig(folder, store.url));
  await store.sql("ALTER TABLE events ADD CONSTRAINT no_poison CHECK name != 'poison'");
  const client = new RawClient(collector.port);
  await client.log([
    {
      producer: { id: producerId(1), run_id: 'q' },
      first_sequence: '1',
      events: [{ name: 'poison' }, { name: 'good' }],
    },
  ]);
  await until(
    () => store.sql('SELECT count() FROM quarantine'),
    (text) => text === '1\n',
  );
  await client.log([
    { producer: { id: producerId(1), run_id: 'q' }, first_sequence: '3', events: [{ name: 'good' }] },
  ]);
  await until(count, (stored) => stored === 2);
  const [row] = JSON.parse(
    `[${await store.sql('SELECT first_sequence, last_sequence, events, error_code, error, request FROM quarantine FORMAT JSONEachRow')}]`,
  );
  assert.equal(row.error_code, 469);
  assert.match(row.error, /no_poison/);
  assert.deepEqual([row.first_sequence, row.last_sequence, row.events].map(Number), [1, 1, 1]);
  assert.ok(Buffer.from(row.request, 'base64').includes('poison'));
  assert.ok(!Buffer.from(row.request, 'base64').includes('good'));
  assert.equal(
    await store.sql('SELECT first_sequence, last_sequence, origin, reason FROM losses'),
    '1\t1\tstore\tquarantined\n',
  );
  assert.equal(await store.sql('SELECT count() FROM sequence_gaps'), '0\n');
  client.close();
  await collector.stop();
});

test('a block that is in the table although a view behind it throws is stored, not quarantined as well', async () => {
  const collector = await startCollector(testConfig(folder, store.url));
  await store.sql(
    "CREATE MATERIALIZED VIEW broken ENGINE = MergeTree ORDER BY n AS SELECT throwIf(body = 'throw') AS n FROM events",
  );
  const client = new RawClient(collector.port);
  await client.log([
    { producer: { id: producerId(1) }, first_sequence: '1', events: [{ body: 'throw' }, { name: 'x' }] },
  ]);
  const handled = async (): Promise<number> =>
    (await count()) + Number(await store.sql('SELECT sum(events) FROM quarantine'));
  await until(handled, (events) => events >= 2);
  await until(
    async () => segments().length,
    (files) => files === 1,
  );
  assert.equal(await handled(), 2);
  assert.equal(await store.sql('SELECT count() FROM sequence_gaps'), '0\n');
  client.close();
  await collector.stop();
});

test('a table that cannot be written is a reason not to start, and the column is named', async () => {
  await store.sql(
    'CREATE TABLE events (project LowCardinality(String), run_id LowCardinality(String), name String) ENGINE = MergeTree ORDER BY run_id',
  );
  const failure = await failToStartCollector(testConfig(folder, store.url));
  assert.equal(failure.code, 'schema_mismatch');
  assert.match(
    failure.message,
    /column name of the table events is String; it must be LowCardinality\(String\)/,
  );
  assert.match(failure.message, /ALTER TABLE events MODIFY COLUMN name/);
});

test('a port in use and a held data directory are refused with what to do', async () => {
  const collector = await startCollector(testConfig(folder, store.url));
  const held = await failToStartCollector(testConfig(folder, store.url));
  assert.equal(held.code, 'data_directory_locked');
  assert.match(held.message, new RegExp(`held by process ${collector.pid}`));
  const inUse = await failToStartCollector({
    ...testConfig(`${folder}/other`, store.url),
    grpc: { address: `127.0.0.1:${collector.port}` },
  });
  assert.equal(inUse.code, 'address_in_use');
  assert.match(inUse.message, /in use by another process/);
  await collector.stop();
  assert.equal(existsSync(`${folder}/wal/collector.lock`), false);
});
