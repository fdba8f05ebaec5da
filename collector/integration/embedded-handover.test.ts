/** INSERTs whose data is handed over to the embedded store as a file, and everything that may go wrong with it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type StoreLimits, storeLimits } from '@sluice/collector/limits.js';
import { type Batch, BatchInserter, type InsertOutcome } from '@sluice/collector/store/batch-inserter.js';
import { ClickHouse } from '@sluice/collector/store/clickhouse.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

const rows = 6000;
const receivedDate = '2026-11-24';
const limits = { ...storeLimits, retryInitialMs: 20, retryMaxMs: 200 };
const quiet = { warn: () => undefined, info: () => undefined };

let store: StoreProcess;

before(async () => {
  store = await startStore({ dataDir: await newDataDir() });
  await createTables(store);
});

after(async () => {
  await store.stop();
  await removeDataDir(store.dataDir);
});

async function createTables({ sql }: StoreProcess): Promise<void> {
  const columns = 'received_date Date, batch_id String, n UInt64, text String';
  const engine =
    'ENGINE = MergeTree PARTITION BY received_date ORDER BY n SETTINGS non_replicated_deduplication_window = 1000';
  await sql(`CREATE TABLE IF NOT EXISTS fast (${columns}) ${engine}`);
  // Some two seconds for a batch.
  await sql(
    `CREATE TABLE IF NOT EXISTS slow (${columns}, wait UInt8 DEFAULT sleepEachRow(0.0003)) ${engine}`,
  );
}

function newBatch(table: 'fast' | 'slow', more: Partial<Batch> = {}): Batch {
  const batchId = randomUUID();
  const lines = Array.from({ length: rows }, (_, n) =>
    Buffer.from(
      `${JSON.stringify({ received_date: receivedDate, batch_id: batchId, n, text: `${n}`.padStart(60, '.') })}\n`,
    ),
  );
  return {
    table,
    format: 'JSONEachRow',
    columns: ['received_date', 'batch_id', 'n', 'text'],
    batchId,
    token: batchId,
    receivedDate,
    rows,
    body: lines,
    inDoubt: false,
    idempotent: false,
    ...more,
  };
}

/** What a collector has of its store. */
function client(
  context: TestContext,
  url: string,
  more: Partial<StoreLimits> = {},
): { clickhouse: ClickHouse; insert: (batch: Batch) => Promise<InsertOutcome> } {
  const clickhouse = new ClickHouse({ url, database: 'default' }, { ...limits, ...more });
  const stop = new AbortController();
  const inserter = new BatchInserter(clickhouse, { ...limits, ...more }, quiet, stop.signal);
  context.after(async () => {
    stop.abort();
    await clickhouse.close();
  });
  return { clickhouse, insert: (batch) => inserter.insert(batch) };
}

async function storedOnce({ sql }: StoreProcess, { table, batchId }: Batch): Promise<void> {
  const found = await sql(
    `SELECT count(), uniqExact(n), sum(n), countIf(text != leftPad(toString(n), 60, '.')) FROM ${table} WHERE batch_id = '${batchId}'`,
  );
  assert.equal(found, `${rows}\t${rows}\t${(rows * (rows - 1)) / 2}\t0\n`);
}

async function handedFiles({ dataDir }: StoreProcess): Promise<string[]> {
  const names = await readdir(join(dataDir, 'sluice-spool')).catch(() => []);
  return names.filter((name) => name.endsWith('.handed'));
}

interface Way {
  readonly url: string;
  /** Of each INSERT that came by: bytes of its body, and whether it named a file. */
  readonly inserts: { bytes: number; isHanded: boolean }[];
}

/** Something between the collector and the store that forwards what it understands. */
async function between(
  context: TestContext,
  target: () => string,
  change: { dropsParameters?: boolean; onlyPost?: boolean; cutsFirstInsert?: boolean } = {},
): Promise<Way> {
  const inserts: Way['inserts'] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', target());
    const isInsert = url.searchParams.get('query')?.startsWith('INSERT') === true;
    if (isInsert) inserts.push({ bytes: body.length, isHanded: url.searchParams.has('sluice_handed_body') });
    if (change.dropsParameters === true) url.searchParams.delete('sluice_handed_body');
    if (change.onlyPost === true && request.method !== 'POST') {
      response.writeHead(405).end();
      return;
    }
    const forwarded = httpRequest(url, { method: request.method ?? 'POST', agent: false }, (answer) => {
      if (change.cutsFirstInsert === true && isInsert && inserts.length === 1) {
        answer.resume();
        response.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    forwarded.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, inserts };
}

test('a large INSERT goes as a file: no byte of it through a socket, its rows are right, the file is used again', async (context) => {
  const way = await between(context, () => store.url);
  const { insert, clickhouse } = client(context, way.url);
  for (let count = 0; count < 3; count++) {
    const batch = newBatch('fast');
    assert.deepEqual(await insert(batch), { kind: 'stored', tries: 1, foundCommitted: false });
    await storedOnce(store, batch);
  }
  assert.deepEqual(way.inserts, Array(3).fill({ bytes: 0, isHanded: true }));
  assert.equal((await handedFiles(store)).length, 1);
  await clickhouse.close();
  assert.deepEqual(await handedFiles(store), []);
});

test('a batch that is in the table already, by its token, is no batch without rows', async (context) => {
  const { insert } = client(context, store.url);
  const batch = newBatch('fast');
  assert.equal((await insert(batch)).kind, 'stored');
  assert.equal((await insert(batch)).kind, 'stored');
  assert.equal((await insert({ ...batch, idempotent: true })).kind, 'stored');
  await storedOnce(store, batch);
});

test('behind a proxy that drops the parameter nothing is lost: an INSERT without rows is none', async (context) => {
  const way = await between(context, () => store.url, { dropsParameters: true });
  const { insert } = client(context, way.url);
  for (const idempotent of [false, true, false]) {
    const batch = newBatch('fast', { idempotent });
    assert.equal((await insert(batch)).kind, 'stored');
    await storedOnce(store, batch);
  }
  assert.deepEqual(
    way.inserts.map(({ isHanded }) => isHanded),
    [true, false, false, false],
    'after one failure all is sent',
  );
});

test('behind a proxy that forwards POST alone all is sent', async (context) => {
  const way = await between(context, () => store.url, { onlyPost: true });
  const { insert } = client(context, way.url);
  const batch = newBatch('fast');
  assert.equal((await insert(batch)).kind, 'stored');
  await storedOnce(store, batch);
  assert.ok(way.inserts.every(({ bytes, isHanded }) => bytes > 0 && !isHanded));
});

test('an INSERT whose answer is lost, or comes too late, is stored once', async (context) => {
  const way = await between(context, () => store.url, { cutsFirstInsert: true });
  const cut = newBatch('fast');
  assert.equal((await client(context, way.url).insert(cut)).kind, 'stored');
  await storedOnce(store, cut);
  const late = newBatch('slow');
  const { insert } = client(context, store.url, { insertTimeoutMs: 700 });
  // Each try runs into the timeout while the statement goes on, and reads a file that is removed.
  assert.equal((await insert(late)).kind, 'stored');
  await delay(2500);
  await storedOnce(store, late);
});

test('a collector that dies while its handed INSERT runs leaves a batch in doubt, which is stored once', async (context) => {
  const batch = newBatch('slow');
  const first = client(context, store.url);
  void first.insert(batch);
  await delay(500);
  await first.clickhouse.close();
  const second = client(context, store.url);
  assert.equal((await second.insert({ ...batch, inDoubt: true })).kind, 'stored');
  await delay(2500);
  await storedOnce(store, batch);
});

test('two collectors hand over to one store at the same time', async (context) => {
  const clients = [client(context, store.url), client(context, store.url)];
  const batches = Array.from({ length: 8 }, () => newBatch('fast'));
  await Promise.all(
    batches.map(async (batch, index) => {
      assert.equal((await clients[index % 2]?.insert(batch))?.kind, 'stored');
    }),
  );
  for (const batch of batches) await storedOnce(store, batch);
});

test('a store that is killed while a handed INSERT runs has it once when it is back, in another folder too', async (context) => {
  const dataDir = await newDataDir();
  let own = await startStore({ dataDir });
  const elsewhere = await newDataDir();
  context.after(async () => {
    await own.stop();
    for (const folder of [dataDir, elsewhere]) await removeDataDir(folder);
  });
  await createTables(own);
  const { insert } = client(context, own.url);
  const before = newBatch('fast');
  await insert(before);
  const batch = newBatch('slow');
  const inserting = insert(batch);
  await delay(500);
  await own.kill();
  own = await startStore({ dataDir, port: own.port });
  assert.equal((await inserting).kind, 'stored');
  await storedOnce(own, batch);
  await storedOnce(own, before);
  // The same address, and other data: the folder that the collector knows is not this store's.
  await own.stop();
  await mkdir(join(dataDir, 'sluice-spool'), { recursive: true });
  own = await startStore({ dataDir: elsewhere, port: own.port });
  await createTables(own);
  const next = newBatch('fast');
  assert.equal((await insert(next)).kind, 'stored');
  await storedOnce(own, next);
});

/** One request by hand; its status and text. */
async function ask(parameters: Record<string, string>, body = '', path = '/') {
  const url = `${store.url}${path}?${new URLSearchParams(parameters)}`;
  const response = await fetch(url, { method: 'POST', body });
  return {
    status: response.status,
    code: response.headers.get('x-clickhouse-exception-code'),
    text: await response.text(),
  };
}

test('what cannot be a handed INSERT gets a clear error and inserts nothing', async () => {
  const spool = join(store.dataDir, 'sluice-spool');
  const id = randomUUID();
  const line = `{"received_date":"${receivedDate}","batch_id":"wrong","n":1,"text":""}\n`;
  await writeFile(join(spool, `${id}.handed`), line);
  const folder = randomUUID();
  await mkdir(join(spool, `${folder}.handed`));
  const query = 'INSERT INTO fast (received_date, batch_id, n, text) FORMAT JSONEachRow';
  const size = line.length;
  const cases: [
    name: string,
    parameters: Record<string, string>,
    body: string,
    code: string,
    text: RegExp,
  ][] = [
    ['a missing file', { query, sluice_handed_body: `${randomUUID()}.${size}` }, '', '107', /is not there/],
    ['another size', { query, sluice_handed_body: `${id}.${size + 1}` }, '', '107', /has \d+ bytes/],
    ['a folder', { query, sluice_handed_body: `${folder}.4096` }, '', '107', /is no file|has \d+ bytes/],
    ['a path', { query, sluice_handed_body: `../sluice-spool/${id}.${size}` }, '', '36', /<uuid>/],
    ['no size', { query, sluice_handed_body: id }, '', '36', /<uuid>/],
    ['nothing', { query, sluice_handed_body: '' }, '', '36', /<uuid>/],
    ['too much', { query, sluice_handed_body: `${id}.999999999999` }, '', '229', /are allowed/],
    ['a SELECT', { query: 'SELECT 1', sluice_handed_body: `${id}.${size}` }, '', '36', /only an INSERT/],
    ['a body as well', { query, sluice_handed_body: `${id}.${size}` }, line, '36', /data of its own/],
    [
      'data in the query',
      { query: `${query} ${line}`, sluice_handed_body: `${id}.${size}` },
      '',
      '36',
      /own/,
    ],
  ];
  for (const [name, parameters, body, code, text] of cases) {
    const answer = await ask(parameters, body);
    assert.equal(answer.code, code, `${name}: ${answer.text}`);
    assert.match(answer.text, text, name);
  }
  assert.equal((await ask({}, '', '/sluice/handover')).status, 404);
  assert.equal(await store.sql("SELECT count() FROM fast WHERE batch_id = 'wrong'"), '0\n');
  // The same file, asked for rightly.
  assert.equal((await ask({ query, sluice_handed_body: `${id}.${size}` })).status, 200);
  assert.equal(await store.sql("SELECT count() FROM fast WHERE batch_id = 'wrong'"), '1\n');
  await rm(join(spool, `${id}.handed`));
});
