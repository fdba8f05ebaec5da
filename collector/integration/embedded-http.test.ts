import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

let store: StoreProcess;
before(async () => {
  store = await startStore({
    dataDir: await newDataDir(),
    limits: { insertBodyBytes: 16 * 1024 * 1024, queryBytes: 1024 * 1024 },
  });
  await store.sql('CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a');
});
after(async () => {
  await store.stop();
  await removeDataDir(store.dataDir);
});

function post(
  query: string,
  body: NonNullable<RequestInit['body']>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${store.url}/?query=${encodeURIComponent(query)}`, { method: 'POST', body, headers });
}

async function fresh(name: string, columns = 'a UInt32, b String'): Promise<void> {
  await store.sql(`CREATE OR REPLACE TABLE ${name} (${columns}) ENGINE = MergeTree ORDER BY tuple()`);
}

interface Summary {
  written_rows: string;
  result_rows: string;
}
const summary = (response: Response): Summary =>
  JSON.parse(response.headers.get('x-clickhouse-summary') ?? '{}');

const endless =
  'SELECT count() FROM numbers(1e13) WHERE NOT ignore(sleepEachRow(0.001)) SETTINGS max_block_size = 10';

/** Waits until a statement runs. */
async function runs(id: string): Promise<void> {
  const statement = `SELECT count() FROM system.processes WHERE Settings['log_comment'] = '${id}'`;
  while ((await store.sql(statement)) === '0\n');
}

test('health checks answer Ok and unknown paths 404', async () => {
  for (const path of ['/ping', '/', '/replicas_status']) {
    const response = await fetch(store.url + path);
    assert.equal(response.status, 200);
    assert.equal(await response.text(), 'Ok.\n');
    assert.equal((await fetch(store.url + path, { method: 'HEAD' })).status, 200);
  }
  const missing = await fetch(`${store.url}/nope`);
  assert.equal(missing.status, 404);
  assert.match(await missing.text(), /^There is no handle \/nope\n/);
});

test('plain curl works', { skip: spawnSync('curl', ['--version']).error && 'there is no curl' }, () => {
  const curl = (...args: string[]): string =>
    spawnSync('curl', ['-sS', ...args], { encoding: 'utf8' }).stdout;
  assert.equal(curl(store.url, '-d', 'SELECT 1'), '1\n');
  assert.equal(curl(`${store.url}/?query=SELECT%201`), '1\n');
  assert.equal(curl('--compressed', `${store.url}/?enable_http_compression=1`, '-d', 'SELECT 1'), '1\n');
  assert.equal(curl(`${store.url}/?default_format=CSV`, '-d', "SELECT 'a', 1"), '"a",1\n');
  assert.match(
    curl(store.url, '-d', 'SELEKT'),
    /^Code: 62\. DB::Exception: Syntax error.*\(SYNTAX_ERROR\) \(version 26/,
  );
});

test('an answer carries the headers of ClickHouse', async () => {
  const response = await fetch(`${store.url}/?query_id=my-id`, {
    method: 'POST',
    body: 'SELECT number FROM numbers(3)',
  });
  assert.equal(response.headers.get('x-clickhouse-query-id'), 'my-id');
  assert.equal(response.headers.get('x-clickhouse-format'), 'TabSeparated');
  assert.equal(response.headers.get('content-type'), 'text/tab-separated-values; charset=UTF-8');
  assert.ok(response.headers.get('x-clickhouse-timezone'));
  assert.ok(response.headers.get('x-clickhouse-server-display-name'));
  assert.equal(summary(response).result_rows, '3');
  const other = await fetch(store.url, { method: 'POST', body: 'SELECT 1' });
  assert.match(other.headers.get('x-clickhouse-query-id') ?? '', /^[0-9a-f-]{36}$/);
});

test('errors have the code, the text and the status of ClickHouse', async () => {
  const cases: [string, number, number, RegExp][] = [
    ['SELEKT 1', 62, 400, /SYNTAX_ERROR/],
    ['SELECT 1 FROM', 62, 400, /failed at position 14 \(end of query\)/],
    ['SELECT * FROM nope', 60, 404, /UNKNOWN_TABLE/],
    ['SELECT nope', 47, 404, /UNKNOWN_IDENTIFIER/],
    ["SELECT 'a' + 1", 43, 500, /ILLEGAL_TYPE_OF_ARGUMENT/],
    ['SELECT throwIf(number = 2) FROM numbers(3)', 395, 500, /FUNCTION_THROW_IF/],
    ['INSERT INTO nope VALUES (1)', 60, 404, /UNKNOWN_TABLE/],
    ["INSERT INTO t VALUES ('x', 'y')", 6, 400, /Cannot parse/],
    ['SELECT 1; SELECT 2', 62, 400, /Multi-statements/],
    ['1 + 1', 62, 400, /SYNTAX_ERROR/],
    ["SELECT * FROM file('/etc/passwd')", 497, 403, /ACCESS_DENIED/],
  ];
  for (const [query, code, status, text] of cases) {
    const response = await fetch(store.url, { method: 'POST', body: query });
    const body = await response.text();
    assert.equal(response.headers.get('x-clickhouse-exception-code'), String(code), `${query}: ${body}`);
    assert.equal(response.status, status, query);
    assert.match(body, text);
    assert.doesNotMatch(body, /sluice-spool/);
  }
});

test('GET changes nothing', async () => {
  const response = await fetch(
    `${store.url}/?query=${encodeURIComponent('CREATE TABLE x (a Int8) ENGINE = Memory')}`,
  );
  assert.equal(response.headers.get('x-clickhouse-exception-code'), '164');
  await response.text();
  const set = await fetch(`${store.url}/?query=${encodeURIComponent('SELECT 1 SETTINGS max_threads = 1')}`);
  assert.equal(await set.text(), '1\n');
  const select = encodeURIComponent("INSERT INTO t SELECT 1, ''");
  assert.equal(
    (await fetch(`${store.url}/?query=${select}`)).headers.get('x-clickhouse-exception-code'),
    '164',
  );
});

test('settings, parameters and the database of a request hold for it alone', async () => {
  await store.sql('CREATE DATABASE IF NOT EXISTS other');
  assert.equal(
    await store.sql("SELECT getSetting('max_threads'), currentDatabase()", {
      max_threads: '3',
      database: 'other',
    }),
    '3\tother\n',
  );
  assert.equal(await store.sql('SELECT currentDatabase()'), 'default\n');
  assert.equal(
    await store.sql('SELECT {x:UInt8}, {s:String}', { param_x: '7', param_s: "it's\\t☃" }),
    "7\tit\\'s\\t☃\n",
  );
  await assert.rejects(store.sql('SELECT {x:UInt8}'), /Code: 456/);
  await assert.rejects(store.sql('SELECT 1', { no_such_setting: '1' }), /Code: 115.*UNKNOWN_SETTING/);
});

test('many statements with parameters at once do not mix them up', async () => {
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, i) => store.sql('SELECT {x:UInt32}', { param_x: String(i) })),
  );
  assert.deepEqual(
    answers,
    answers.map((_, i) => `${i}\n`),
  );
});

test('a session keeps its temporary tables, and locks', async () => {
  const session = { session_id: 's1' };
  await store.sql('CREATE TEMPORARY TABLE tmp (a Int8)', session);
  await store.sql('INSERT INTO tmp VALUES (5)', session);
  assert.equal(await store.sql('SELECT a FROM tmp', session), '5\n');
  await assert.rejects(store.sql('SELECT a FROM tmp'), /UNKNOWN_TABLE/);
  await assert.rejects(store.sql('SELECT 1', { session_id: 'unknown', session_check: '1' }), /Code: 372/);
  await store.sql('SET max_threads = 1', session);
  assert.equal(
    await store.sql("SELECT getSetting('max_threads'), getSetting('max_block_size')", {
      ...session,
      max_block_size: '77',
    }),
    '1\t77\n',
  );
  assert.notEqual(await store.sql("SELECT getSetting('max_block_size')", session), '77\n');
  const holder = assert.rejects(store.sql(endless, { ...session, query_id: 'holder' }), /Code: 394/);
  await runs('holder');
  await assert.rejects(store.sql('SELECT 1', session), /Code: 373.*SESSION_IS_LOCKED/);
  // Not SYNC: the engine lists the last statement of a session until its next one.
  await store.sql("KILL QUERY WHERE query_id = 'holder'");
  await holder;
});

test('one query id runs once at a time, and KILL QUERY finds it', async () => {
  const failed = assert.rejects(store.sql(endless, { query_id: 'long' }), /Code: 394.*QUERY_WAS_CANCELLED/);
  await runs('long');
  await assert.rejects(store.sql('SELECT 1', { query_id: 'long' }), /Code: 216/);
  await store.sql("KILL QUERY WHERE query_id = 'long' SYNC");
  await failed;
});

test('data of an INSERT comes in the body, in the text, or both', async () => {
  await fresh('forms');
  const counted = [
    await fetch(store.url, { method: 'POST', body: "INSERT INTO forms VALUES (1, 'x'), (2, 'y')" }),
    await post('INSERT INTO forms FORMAT JSONEachRow', '{"a":3,"b":"j"}\n{"a":4}\n'),
    await post('INSERT INTO forms (a) FORMAT CSV', '5\n6\n'),
    await post('INSERT INTO forms VALUES', "(7, upper('q'))"),
    await fetch(store.url, {
      method: 'POST',
      body: "INSERT INTO forms SELECT number, 'z' FROM numbers(8, 2)",
    }),
    await post(
      'INSERT INTO forms SETTINGS async_insert = 1, wait_for_async_insert = 1 FORMAT TSV',
      '10\ta\n',
    ),
  ];
  assert.deepEqual(
    counted.map((response) => summary(response).written_rows),
    ['2', '2', '2', '1', '2', '1'],
  );
  assert.equal(
    await store.sql('SELECT groupArray(a) FROM (SELECT a FROM forms ORDER BY a)'),
    '[1,2,3,4,5,6,7,8,9,10]\n',
  );
  const bound = await fetch(`${store.url}/?param_a=11&param_b=p`, {
    method: 'POST',
    body: 'INSERT INTO forms VALUES ({a:UInt32}, {b:String})',
  });
  assert.equal(bound.status, 200, await bound.text());
  assert.equal(await store.sql('SELECT b FROM forms WHERE a = 11'), 'p\n');
});

test('Native and RowBinary come in whole, a block of half a million rows as one part', async () => {
  await fresh('native', 'n UInt64, s String');
  const query =
    'SELECT number AS n, toString(number) AS s FROM numbers(500000) SETTINGS max_block_size = 500000 FORMAT';
  const native = await fetch(store.url, { method: 'POST', body: `${query} Native` });
  const inserted = await post('INSERT INTO native FORMAT Native', await native.arrayBuffer());
  assert.equal(summary(inserted).written_rows, '500000', await inserted.text());
  assert.equal(
    await store.sql("SELECT count(), sum(rows) FROM system.parts WHERE table = 'native' AND active"),
    '1\t500000\n',
  );
  const binary = await fetch(store.url, {
    method: 'POST',
    body: 'SELECT number, toString(number) FROM numbers(1000) FORMAT RowBinary',
  });
  const again = await post('INSERT INTO native FORMAT RowBinary', await binary.arrayBuffer());
  assert.equal(summary(again).written_rows, '1000', await again.text());
  assert.equal(await store.sql('SELECT count(), uniqExact(n) FROM native'), '501000\t500000\n');
});

test('the same deduplication token inserts once, another one again', async () => {
  await store.sql(
    'CREATE TABLE dedup (a UInt32) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 1000',
  );
  for (const token of ['one', 'one', 'two']) {
    await (
      await post(
        `INSERT INTO dedup SETTINGS insert_deduplicate = 1, insert_deduplication_token = '${token}' FORMAT CSV`,
        '1\n2\n',
      )
    ).text();
  }
  for (const token of ['two', 'three']) {
    await fetch(`${store.url}/?insert_deduplication_token=${token}`, {
      method: 'POST',
      body: 'INSERT INTO dedup VALUES (1), (2)',
    });
  }
  assert.equal(
    await store.sql(
      "SELECT count(), (SELECT count() FROM system.parts WHERE table = 'dedup' AND active) FROM dedup",
    ),
    '6\t3\n',
  );
});

test('compressed bodies are understood, and damaged ones insert nothing', async () => {
  await fresh('zipped');
  const data = '1,"x"\n2,"y"\n';
  const encode = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
  for (const [encoding, compress] of Object.entries(encode)) {
    const response = await post('INSERT INTO zipped FORMAT CSV', compress(data), {
      'content-encoding': encoding,
    });
    assert.equal(response.status, 200, await response.text());
    const whole = await fetch(store.url, {
      method: 'POST',
      body: compress(`INSERT INTO zipped FORMAT CSV\n${data}`),
      headers: { 'content-encoding': encoding },
    });
    assert.equal(whole.status, 200, await whole.text());
    const short = await post('INSERT INTO zipped FORMAT CSV', compress(data).subarray(0, -5), {
      'content-encoding': encoding,
    });
    assert.equal(short.status, 400, await short.text());
  }
  const wrong = await post('INSERT INTO zipped FORMAT CSV', data, { 'content-encoding': 'zstd' });
  assert.notEqual(wrong.status, 200, await wrong.text());
  const unknown = await post('INSERT INTO zipped FORMAT CSV', data, { 'content-encoding': 'snappy' });
  assert.equal(unknown.status, 501, await unknown.text());
  assert.equal(await store.sql('SELECT count() FROM zipped'), '12\n');
});

/** Sends bytes over a plain socket, then closes it; resolves to what came back. */
async function raw(text: string): Promise<string> {
  const socket = connect(store.port, '127.0.0.1');
  await once(socket, 'connect');
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk));
  socket.on('error', () => {});
  socket.write(text);
  if (!text.endsWith('0\r\n\r\n')) socket.end();
  await once(socket, 'close');
  return answer;
}

test('a body that is cut short inserts nothing', async () => {
  await fresh('cut');
  const target = `/?query=${encodeURIComponent('INSERT INTO cut FORMAT CSV')}`;
  await raw(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n1,"x"\n`);
  await raw(`POST ${target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n1,"x"\n\r\n`);
  await raw(
    `POST ${target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n1,"x"\n\r\n0\r\n\r\n`,
  );
  const whole = await raw(
    `POST ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n1,"x"\n\r\n0\r\n\r\n`,
  );
  assert.match(whole, /^HTTP\/1\.1 200/);
  assert.equal(await store.sql('SELECT count() FROM cut'), '1\n');
});

test('data that ends in the middle of a row or a block inserts nothing', async () => {
  await fresh('broken', 'n UInt64');
  const native = Buffer.from(
    await (
      await fetch(store.url, { method: 'POST', body: 'SELECT number AS n FROM numbers(1000) FORMAT Native' })
    ).arrayBuffer(),
  );
  const cut = await post('INSERT INTO broken FORMAT Native', native.subarray(0, -10));
  assert.equal(cut.headers.get('x-clickhouse-exception-code'), '33', await cut.text());
  const rows = await post('INSERT INTO broken FORMAT RowBinary', Buffer.alloc(12));
  assert.equal(rows.headers.get('x-clickhouse-exception-code'), '33', await rows.text());
  assert.equal(await store.sql('SELECT count() FROM broken'), '0\n');
});

test('bodies and statements beyond their limits are refused, and the spool is left empty', async () => {
  await fresh('large');
  const tooMuch = await post('INSERT INTO large FORMAT CSV', '1,"x"\n'.repeat(3_000_000)).catch(
    (error: unknown) => error,
  );
  if (tooMuch instanceof Response) {
    assert.equal(tooMuch.status, 413);
    assert.match(await tooMuch.text(), /insertBodyBytes/);
  }
  const longQuery = await fetch(store.url, {
    method: 'POST',
    body: `SELECT 1 -- ${'x'.repeat(2 * 1024 * 1024)}`,
  }).catch((error: unknown) => error);
  if (longQuery instanceof Response) assert.equal(longQuery.status, 413, await longQuery.text());
  assert.equal(await store.sql('SELECT count() FROM large'), '0\n');
  const left = (await readdir(join(store.dataDir, 'sluice-spool'))).filter((name) => name.endsWith('.body'));
  assert.deepEqual(left, []);
});

test('results are compressed as the client accepts it', async () => {
  for (const encoding of ['gzip', 'deflate', 'br']) {
    const response = await fetch(`${store.url}/?enable_http_compression=1`, {
      method: 'POST',
      body: 'SELECT number FROM numbers(100000)',
      headers: { 'accept-encoding': encoding },
    });
    assert.equal(response.headers.get('content-encoding'), encoding);
    assert.equal((await response.text()).length, 588_890);
  }
  const plain = await fetch(store.url, {
    method: 'POST',
    body: 'SELECT 1',
    headers: { 'accept-encoding': 'gzip' },
  });
  assert.equal(plain.headers.get('content-encoding'), null);
});

test('queries and parameters come as a form, external tables do not', async () => {
  const form = new FormData();
  form.set('query', 'SELECT {p:String}');
  form.set('param_p', 'form');
  assert.equal(await (await fetch(store.url, { method: 'POST', body: form })).text(), 'form\n');
  form.set('table', new Blob(['1\n']), 'table');
  const refused = await fetch(store.url, { method: 'POST', body: form });
  assert.equal(refused.status, 501);
  assert.match(await refused.text(), /external tables/);
});

test('only the user default without a password is let in', async () => {
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
  for (const headers of [basic('bob:x'), basic('default:x')]) {
    const response = await fetch(store.url, { method: 'POST', body: 'SELECT 1', headers });
    assert.equal(response.status, 403);
    assert.match(await response.text(), /Code: 516.*AUTHENTICATION_FAILED/);
  }
  const welcome = await fetch(store.url, { method: 'POST', body: 'SELECT 1', headers: basic('default:') });
  assert.equal(await welcome.text(), '1\n');
});

test('block compression is refused with what to use instead', async () => {
  const response = await fetch(`${store.url}/?compress=1`, { method: 'POST', body: 'SELECT 1' });
  assert.equal(response.status, 501);
  assert.match(await response.text(), /enable_http_compression=1/);
});

test('every format leaves as the engine writes it in one piece', async () => {
  const query = 'SELECT number AS a, toString(number) AS b FROM numbers(200000) FORMAT';
  const text = async (format: string): Promise<string> => await store.sql(`${query} ${format}`);
  assert.equal(JSON.parse(await text('JSON')).data.length, 200_000);
  assert.equal(JSON.parse(await text('JSONCompact')).rows, 200_000);
  assert.equal((await text('CSVWithNames')).split('"a","b"').length, 2);
  assert.equal((await text('TSV')).split('\n').length, 200_001);
  const parquet = Buffer.from(
    await (await fetch(store.url, { method: 'POST', body: `${query} Parquet` })).arrayBuffer(),
  );
  assert.equal(parquet.subarray(0, 4).toString(), 'PAR1');
  assert.equal(parquet.subarray(-4).toString(), 'PAR1');
  const totals = await store.sql(
    'SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k',
  );
  assert.equal(totals, '0\t5\n1\t5\n\n0\t10\n');
});

test('Native comes in the form that a client of a newer protocol asks for', async () => {
  const query = `SELECT number AS a, toString(number) AS s, toLowCardinality(toString(number % 3)) AS l,
    map('k', if(number % 2 = 0, NULL, number)) AS m, [(number, 'x')] AS t FROM numbers(100000)`;
  const bytes = async (parameters: string): Promise<Buffer> => {
    const response = await fetch(`${store.url}/?default_format=Native&${parameters}`, {
      method: 'POST',
      body: query,
    });
    assert.equal(response.status, 200);
    return Buffer.from(await response.arrayBuffer());
  };
  const plain = await bytes('');
  const blocks = (
    await store.sql(
      `SELECT count(), sum(c) FROM (SELECT blockNumber(), count() AS c FROM (${query}) GROUP BY 1)`,
    )
  ).trim();
  const newer = await bytes('client_protocol_version=54460');
  const gzipped = await bytes('client_protocol_version=54460&enable_http_compression=1');
  const count = Number(blocks.split('\t')[0]);
  // Eight bytes of block info a block, and one byte for each of its five columns.
  assert.equal(newer.length, plain.length + count * (8 + 5));
  assert.ok(newer.equals(gzipped));
  assert.deepEqual(newer.subarray(0, 8), Buffer.from('010002ffffffff00', 'hex'));
  const json = await fetch(`${store.url}/?default_format=Native&client_protocol_version=54460`, {
    method: 'POST',
    body: `SELECT CAST('{"a":1}' AS JSON)`,
  });
  assert.equal(json.status, 501, await json.text());
});
