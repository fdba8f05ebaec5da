import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

let store: StoreProcess;
let client: ClickHouseClient;
before(async () => {
  store = await startStore({ dataDir: await newDataDir() });
  client = createClient({
    url: store.url,
    compression: { request: true, response: true },
    log: { level: ClickHouseLogLevel.OFF },
  });
  await client.command({ query: 'CREATE TABLE c (id UInt32, name String) ENGINE = MergeTree ORDER BY id' });
});
after(async () => {
  await client.close();
  await store.stop();
  await removeDataDir(store.dataDir);
});

test('the client of ClickHouse pings the store', async () => {
  assert.deepEqual(await client.ping(), { success: true });
  assert.deepEqual((await client.ping({ select: true })).success, true);
});

test('rows go in as objects and come out as objects', async () => {
  const inserted = await client.insert({
    table: 'c',
    values: [
      { id: 1, name: 'a' },
      { id: 2, name: "it's" },
    ],
    format: 'JSONEachRow',
  });
  assert.equal(inserted.executed, true);
  assert.equal(inserted.summary?.written_rows, '2');
  const rows = await client.query({ query: 'SELECT * FROM c ORDER BY id', format: 'JSONEachRow' });
  assert.deepEqual(await rows.json(), [
    { id: 1, name: 'a' },
    { id: 2, name: "it's" },
  ]);
  const whole = await (await client.query({ query: 'SELECT * FROM c ORDER BY id', format: 'JSON' })).json<{
    id: number;
  }>();
  assert.equal(whole.rows, 2);
});

test('a stream of rows goes in, and a stream of rows comes out', async () => {
  await client.command({ query: 'TRUNCATE TABLE c' });
  const values = Readable.from(
    (function* () {
      for (let id = 0; id < 20_000; id++) yield { id, name: `n${id}` };
    })(),
  );
  await client.insert({ table: 'c', values, format: 'JSONEachRow' });
  const csv = Readable.from(['20000,"x"\n', '20001,"y"\n'], { objectMode: false });
  await client.insert({ table: 'c', values: csv, format: 'CSV' });
  const result = await client.query({ query: 'SELECT id FROM c', format: 'JSONEachRow' });
  let seen = 0;
  for await (const rows of result.stream()) seen += rows.length;
  assert.equal(seen, 20_002);
});

test('parameters are bound, short ones in the URL and long ones as a form', async () => {
  const query_params = {
    n: 7,
    s: "it's\t\\ ☃\n",
    list: [1, 2],
    none: null,
    when: new Date(0),
    map: { k: 'v' },
  };
  const query =
    'SELECT {n:UInt8} AS n, {s:String} AS s, {list:Array(UInt8)} AS list, {none:Nullable(String)} AS none, {when:DateTime} AS t, {map:Map(String,String)} AS map';
  const result = await client.query({ query, query_params, format: 'JSONEachRow' });
  assert.deepEqual(await result.json(), [
    { n: 7, s: query_params.s, list: [1, 2], none: null, t: '1970-01-01 00:00:00', map: { k: 'v' } },
  ]);
  const long = await client.query({
    query: 'SELECT length({s:String}) AS n',
    query_params: { s: 'x'.repeat(200_000) },
    format: 'JSONEachRow',
  });
  assert.equal(Number((await long.json<{ n: string }>())[0]?.n), 200_000);
});

test('settings of a query are followed', async () => {
  const result = await client.query({
    query: "SELECT getSetting('max_threads') AS n",
    clickhouse_settings: { max_threads: 1 },
    format: 'JSONEachRow',
  });
  assert.deepEqual(await result.json(), [{ n: 1 }]);
});

test('exec answers with a stream, command with nothing', async () => {
  const { stream, query_id } = await client.exec({ query: 'SELECT 1 FORMAT CSV', query_id: 'mine' });
  assert.equal(query_id, 'mine');
  assert.equal(Buffer.concat(await Readable.from(stream).toArray()).toString(), '1\n');
  await client.command({ query: "INSERT INTO c VALUES ({id:UInt32}, 'p')", query_params: { id: 777777 } });
  const result = await client.query({
    query: 'SELECT count() AS n FROM c WHERE id = 777777',
    format: 'JSONEachRow',
  });
  assert.equal(Number((await result.json<{ n: string }>())[0]?.n), 1);
});

test('an error has its code and its type', async () => {
  await assert.rejects(client.query({ query: 'SELECT * FROM nope' }), { code: '60', type: 'UNKNOWN_TABLE' });
  await assert.rejects(client.insert({ table: 'nope', values: [{ a: 1 }], format: 'JSONEachRow' }), {
    code: '60',
  });
  await assert.rejects(client.query({ query: 'SELECT (' }), { code: '62', type: 'SYNTAX_ERROR' });
  const wrong = createClient({
    url: store.url,
    username: 'bob',
    password: 'x',
    log: { level: ClickHouseLogLevel.OFF },
  });
  await assert.rejects(wrong.query({ query: 'SELECT 1' }), { code: '516', type: 'AUTHENTICATION_FAILED' });
  await wrong.close();
});

test('a query that is aborted ends in the store', async () => {
  const controller = new AbortController();
  const query = client.query({
    query: 'SELECT count() FROM numbers(1e13) WHERE NOT ignore(sleepEachRow(0.001))',
    clickhouse_settings: { max_block_size: '10' },
    query_id: 'to-abort',
    abort_signal: controller.signal,
  });
  const rejected = assert.rejects(query);
  const count = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'to-abort'";
  while ((await store.sql(count)) === '0\n');
  controller.abort();
  await rejected;
  while ((await store.sql(count)) !== '0\n');
});

test('a session keeps temporary tables', async () => {
  const session = createClient({ url: store.url, session_id: 'js' });
  await session.command({ query: 'CREATE TEMPORARY TABLE tmp AS SELECT 5 AS x' });
  const result = await session.query({ query: 'SELECT x FROM tmp', format: 'JSONEachRow' });
  assert.deepEqual(await result.json(), [{ x: 5 }]);
  await session.close();
});
