/** Collectors with several workers, in real processes beside a real store: what moves, what dies, what is drained. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { encodeRequest, producerId } from '@sluice/collector/testing/wire.js';
import { readSegment } from '@sluice/collector/wal/segment-reader.js';
import { createLogger } from '@sluice/sdk';
import {
  type CollectorProcess,
  childrenOf,
  isAlive,
  type PartialConfig,
  RawClient,
  startCollector,
  testConfig,
  until,
} from './collector-harness.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

let folder: string;
let store: StoreProcess;
let clients: RawClient[] = [];
beforeEach(async () => {
  folder = await newDataDir();
  store = await startStore({ dataDir: `${folder}/store` });
});
afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await store.stop();
  await removeDataDir(folder);
});

const config = (workers: number, more: PartialConfig = {}): PartialConfig => ({
  ...testConfig(folder, store.url),
  workers,
  ...more,
});

function connect({ port }: CollectorProcess): RawClient {
  const client = new RawClient(port);
  clients.push(client);
  return client;
}

const count = async (): Promise<number> =>
  Number(await store.sql("SELECT count() FROM events WHERE run_id != 'probe'").catch(() => '-1'));

/** One request of ten events; their numbers are in them. */
function request(producer: number, first: number, run = 'workers'): Buffer {
  return encodeRequest({
    producer: { id: producerId(producer), project: 'workers', run_id: run },
    first_sequence: String(first),
    events: Array.from({ length: 10 }, (_, index) => ({
      name: 'x',
      metrics: { sequence: first + index },
    })),
  });
}

/**
 * Sends as an SDK does: the same bytes until they are acknowledged, on another connection, and so at another
 * worker, after a failure; and now and then without one.
 */
async function sendAll(collector: () => CollectorProcess, producer: number, each: number): Promise<void> {
  let client = connect(collector());
  for (let first = 1; first < each; first += 10) {
    if (first % 70 === 1) client = connect(collector());
    const deadline = Date.now() + 120_000;
    for (;;) {
      const outcome = await client.log([request(producer, first)]);
      if (outcome.kind === 'ok') break;
      assert.ok([14, 8].includes(outcome.code), `code ${outcome.code}: ${outcome.details}`);
      if (Date.now() > deadline) throw new Error(`not taken: ${outcome.details}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      client.close();
      client = connect(collector());
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Each event once, under the number that it carries, and no number missing. */
async function checkStored(producers: number, each: number): Promise<void> {
  await until(count, (stored) => stored >= producers * each);
  assert.equal(
    await store.sql(
      `SELECT count(), uniqExact(producer_id, sequence), countIf(metrics['sequence'] != sequence), uniqExact(producer_id), max(sequence) FROM events WHERE run_id = 'workers'`,
    ),
    `${producers * each}\t${producers * each}\t0\t${producers}\t${each}\n`,
  );
  assert.equal(await store.sql('SELECT count() FROM sequence_gaps'), '0\n');
  assert.equal(await store.sql('SELECT count() FROM losses'), '0\n');
}

/** How many requests of a producer a log's files hold. */
function requestsIn(log: string, producer: number): number {
  const directory = join(folder, log);
  let requests = 0;
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    if (!name.endsWith('.wal')) continue;
    const reading = readSegment(readFileSync(join(directory, name)), name.slice(0, -4));
    for (const { producerIndex } of reading.requests) {
      const id = reading.producers[producerIndex]?.identity.subarray(0, 16);
      if (id?.equals(producerId(producer))) requests++;
    }
  }
  return requests;
}

/** Connections to two different workers: opened until a producer of their own shows in both logs. The store is away. */
async function connectToBoth(collector: CollectorProcess): Promise<[RawClient, RawClient]> {
  const found = new Map<string, RawClient>();
  for (let producer = 1000; found.size < 2; producer++) {
    assert.ok(producer < 1200, 'two hundred connections went to one worker');
    const client = connect(collector);
    assert.equal((await client.log([request(producer, 1, 'probe')])).kind, 'ok');
    const log = ['wal', 'wal-1'].find((name) => requestsIn(name, producer) > 0);
    if (log !== undefined) found.set(log, client);
  }
  return [found.get('wal') as RawClient, found.get('wal-1') as RawClient];
}

test('two workers share the port, both take events, and a stop ends all and flushes', async () => {
  const collector = await startCollector(config(2));
  const workers = childrenOf(collector.pid);
  assert.equal(workers.length, 2);
  const logger = createLogger({ endpoint: `127.0.0.1:${collector.port}`, project: 'workers', run: 'sdk' });
  for (let index = 0; index < 1000; index++) logger.event('x', { sequence: index + 1 });
  const senders = Array.from({ length: 20 }, async (_, index) => {
    const client = connect(collector);
    for (let first = 1; first < 200; first += 10) {
      assert.equal((await client.log([request(index + 1, first)])).kind, 'ok');
    }
  });
  await Promise.all(senders);
  assert.equal((await logger.close()).acknowledged, true);
  assert.equal(await collector.stop(), 0);
  assert.deepEqual(workers.filter(isAlive), []);
  assert.equal(await count(), 5000);
  assert.equal(await store.sql('SELECT uniqExact(producer_id, sequence) FROM events'), '5000\n');
  assert.equal(await store.sql('SELECT count() FROM sequence_gaps'), '0\n');
});

test('a producer that comes to another worker and resends byte for byte is a duplicate there, and goes on', async () => {
  const { url, port } = store;
  await store.stop();
  const collector = await startCollector({
    ...config(2),
    store: { url, retryInitialMs: 20, retryMaxMs: 200 },
  });
  const [here, there] = await connectToBoth(collector);
  assert.equal((await here.log([request(1, 1), request(1, 11)])).kind, 'ok');
  const resent = await there.log([request(1, 1), request(1, 11), request(1, 21)]);
  assert.ok(resent.kind === 'ok');
  assert.deepEqual([resent.response.duplicates, resent.response.accepted], ['20', '10']);
  assert.equal(resent.response.durable_sequence, '30');
  const hole = await there.log([request(1, 41)]);
  assert.ok(hole.kind === 'error' && hole.code === 9);
  // And back, within the same segment there.
  const back = await here.logOnce(request(1, 21));
  assert.ok(back.kind === 'ok' && back.response.duplicates === '10');
  assert.equal((await here.log([request(1, 31)])).kind, 'ok');
  assert.deepEqual(
    [requestsIn('wal', 1), requestsIn('wal-1', 1)],
    [3, 1],
    'it was not with two workers: the test did not test',
  );
  store = await startStore({ dataDir: `${folder}/store`, port });
  await checkStored(1, 40);
  await collector.stop();
});

test('kill -9 of one worker in mid-stream: what was acknowledged is stored once, and the others go on', async () => {
  const collector = await startCollector(config(2));
  let isDone = false;
  const senders = Array.from({ length: 6 }, (_, index) => sendAll(() => collector, index + 1, 800));
  const kills = (async () => {
    for (let kill = 0; kill < 4 && !isDone; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 400));
      // Both may be dead: on a busy machine their starts take longer than the pause.
      const workers = await until(
        async () => childrenOf(collector.pid).filter(isAlive),
        (alive) => alive.length > 0,
      );
      process.kill(workers[kill % workers.length] as number, 'SIGKILL');
    }
  })();
  await Promise.all(senders);
  isDone = true;
  await kills;
  await checkStored(6, 800);
  await until(
    async () => childrenOf(collector.pid).length,
    (workers) => workers === 2,
  );
  assert.equal(await collector.stop(), 0);
});

test('kill -9 of the primary and all workers, again and again, and the next start has other workers', async () => {
  let collector = await startCollector(config(2));
  const grpc = { address: `127.0.0.1:${collector.port}` };
  const senders = Array.from({ length: 4 }, (_, index) => sendAll(() => collector, index + 1, 600));
  for (const workers of [3, 1, 2]) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const all = [collector.pid, ...childrenOf(collector.pid)];
    for (const pid of all) process.kill(pid, 'SIGKILL');
    await until(
      async () => all.filter(isAlive).length,
      (alive) => alive === 0,
    );
    collector = await startCollector(config(workers, { grpc }));
  }
  await Promise.all(senders);
  await checkStored(4, 600);
  assert.equal(await collector.stop(), 0);
});

test('from two workers to one, whose start drains the other log, and on to three', async () => {
  const { url, port } = store;
  const away = { store: { url, retryInitialMs: 20, retryMaxMs: 200 }, stop: { callsMs: 300, flushMs: 300 } };
  await store.stop();
  const two = await startCollector(config(2, away));
  const [here, there] = await connectToBoth(two);
  for (const producer of [1, 2, 3, 4]) {
    const [first, second] = producer % 2 === 0 ? [here, there] : [there, here];
    assert.equal((await first.log([request(producer, 1)])).kind, 'ok');
    assert.equal((await second.log([request(producer, 11)])).kind, 'ok');
  }
  assert.equal(await two.stop(), 0);

  const one = await startCollector(config(1, away));
  const alone = connect(one);
  for (const producer of [1, 2, 3, 4]) {
    const outcome = await alone.log([request(producer, 1), request(producer, 11), request(producer, 21)]);
    assert.ok(outcome.kind === 'ok');
    assert.deepEqual([outcome.response.duplicates, outcome.response.accepted], ['20', '10']);
  }
  assert.ok(existsSync(join(folder, 'wal-1')), 'a log is gone that the store does not have');
  store = await startStore({ dataDir: `${folder}/store`, port });
  await until(
    async () => existsSync(join(folder, 'wal-1')),
    (exists) => !exists,
  );
  assert.equal(await one.stop(), 0);

  const three = await startCollector(config(3));
  for (const producer of [1, 2, 3, 4]) {
    const outcome = await connect(three).log([request(producer, 21), request(producer, 31)]);
    assert.ok(outcome.kind === 'ok');
    assert.deepEqual([outcome.response.duplicates, outcome.response.accepted], ['10', '10']);
  }
  await checkStored(4, 40);
  assert.equal(await three.stop(), 0);
});

test('workers whose primary is killed end by themselves, and the next start takes their logs', async () => {
  const collector = await startCollector(config(2));
  const workers = childrenOf(collector.pid);
  await connect(collector).log([request(1, 1)]);
  await collector.kill();
  await until(
    async () => workers.filter(isAlive).length,
    (alive) => alive === 0,
  );
  const next = await startCollector(config(2));
  const again = await connect(next).log([request(1, 1)]);
  assert.ok(again.kind === 'ok' && again.response.duplicates === '10');
  await checkStored(1, 10);
  await next.stop();
});
