import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

const MiB = 1024 * 1024;
let store: StoreProcess;
before(async () => {
  const limits = {
    queryMemoryBytes: 200 * MiB,
    resultBytes: 1 * MiB,
    concurrentReads: 2,
    waiting: 3,
    requestIdleMs: 1000,
  };
  store = await startStore({ dataDir: await newDataDir(), limits });
  await store.sql('CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a');
});
after(async () => {
  await store.stop();
  await removeDataDir(store.dataDir);
});

const endless = 'SELECT count() FROM numbers(1e13) WHERE NOT ignore(sleepEachRow(0.001))';
const running = (id: string): Promise<string> =>
  store.sql(`SELECT count() FROM system.processes WHERE Settings['log_comment'] = '${id}'`);

/** The answer, or the code if the store refuses the statement because too many wait. */
async function answerOr202(answer: Promise<string>): Promise<string> {
  return await answer.catch((error: Error) => {
    if (!error.message.startsWith('Code: 202.')) throw error;
    return '202';
  });
}

test('a query that wants too much memory gets 241, and the store goes on', async () => {
  const greedy = 'SELECT length(groupArray(number)) FROM numbers(1000000000)';
  for (const settings of [{}, { max_memory_usage: '0' }, { max_memory_usage: '99999999999' }]) {
    await assert.rejects(store.sql(greedy, settings), /Code: 241.*MEMORY_LIMIT_EXCEEDED/);
  }
  await assert.rejects(
    store.sql('SELECT length(groupArray(number)) FROM numbers(1000000)', { max_memory_usage: '1000000' }),
    /Code: 241/,
  );
  assert.equal(await store.sql('SELECT 1'), '1\n');
});

test('a result larger than what is held in memory comes whole, and the store stays small', async () => {
  const response = await fetch(store.url, {
    method: 'POST',
    body: 'SELECT number FROM numbers(20000000) FORMAT RowBinary',
  });
  let bytes = 0;
  for await (const chunk of response.body!) bytes += (chunk as Uint8Array).length;
  assert.equal(bytes, 160_000_000);
  const json = (await (
    await fetch(store.url, { method: 'POST', body: 'SELECT number FROM numbers(300000) FORMAT JSONCompact' })
  ).json()) as { rows: number };
  assert.equal(json.rows, 300_000);
  if (process.platform === 'linux') {
    const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${store.pid}/status`, 'utf8'))![1]) / 1024;
    assert.ok(peak < 1200, `${peak} MiB at the peak`);
  }
});

test('an error in the middle of a sent result is never a clean end', async () => {
  const response = await fetch(store.url, {
    method: 'POST',
    body: 'SELECT throwIf(number = 5000000), number FROM numbers(10000000) SETTINGS max_threads = 1',
  });
  assert.equal(response.status, 200);
  const tag = response.headers.get('x-clickhouse-exception-tag');
  let text = '';
  await assert.rejects(async () => {
    for await (const chunk of response.body!)
      text = (text + Buffer.from(chunk as Uint8Array).toString('latin1')).slice(-5000);
  });
  assert.match(
    text,
    new RegExp(`__exception__\r\n${tag}\r\nCode: 395\\.[^]*\n\\d+ ${tag}\r\n__exception__\r\n$`),
  );
});

test('a client that goes away ends its query, also while the result is sent', async () => {
  for (const [id, query] of [
    ['counting', endless],
    ['sending', 'SELECT number FROM numbers(100000000000)'],
  ] as const) {
    const client = request(`${store.url}/?query_id=${id}&max_block_size=1000`, { method: 'POST' });
    client.on('error', () => {});
    client.end(query);
    while ((await running(id)) === '0\n');
    client.destroy();
    while ((await running(id)) !== '0\n');
  }
});

test('clients that go away at any moment leave nothing behind', async () => {
  const leaving = Array.from({ length: 120 }, (_, i) =>
    fetch(store.url, {
      method: 'POST',
      body: i % 2 === 0 ? 'SELECT number FROM numbers(3000000)' : 'SELECT 1',
      signal: AbortSignal.timeout(1 + (i % 40)),
    })
      .then((response) => response.arrayBuffer())
      .catch(() => {}),
  );
  await Promise.all(leaving);
  while ((await store.sql('SELECT count() FROM system.processes').catch(() => '')) !== '1\n');
});

test('a client that takes nothing ends its query too', async () => {
  const socket = connect(store.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.pause();
  const query = 'SELECT number FROM numbers(100000000000)';
  socket.write(
    `POST /?query_id=stuck HTTP/1.1\r\nHost: x\r\nContent-Length: ${query.length}\r\n\r\n${query}`,
  );
  while ((await running('stuck')) === '0\n');
  while ((await running('stuck')) !== '0\n');
  socket.destroy();
});

test('a body that stalls is ended and inserts nothing', async () => {
  const socket = connect(store.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => {});
  socket.resume();
  socket.write(
    'POST /?query=INSERT%20INTO%20t%20FORMAT%20CSV HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n1\n2\n',
  );
  await once(socket, 'close');
  assert.equal(await store.sql('SELECT count() FROM t'), '0\n');
});

test('more statements than may run wait, more than may wait are refused with 202', async () => {
  const controller = new AbortController();
  const started = Array.from({ length: 6 }, (_, i) =>
    fetch(`${store.url}/?query_id=crowd${i}&max_block_size=10`, {
      method: 'POST',
      body: endless,
      signal: controller.signal,
    }),
  );
  const refused = await Promise.race(started);
  assert.equal(refused.headers.get('x-clickhouse-exception-code'), '202', await refused.text());
  // Inserts have places of their own, and a KILL needs none.
  await store.sql('INSERT INTO t VALUES (1)');
  await store.sql("KILL QUERY WHERE query_id = 'crowd-none'");
  assert.equal(await answerOr202(store.sql('SELECT 1')), '202', 'the crowd is still there');
  controller.abort();
  await Promise.allSettled(started);
  // The store learns some time later that its clients are gone, and until then refuses this one too.
  let outcome = await answerOr202(store.sql('SELECT 1'));
  while (outcome === '202') outcome = await answerOr202(store.sql('SELECT 1'));
  assert.equal(outcome, '1\n');
});

test('reads run beside inserts, and see each of them whole', async () => {
  await store.sql('TRUNCATE TABLE t');
  const body = Buffer.from(
    await (
      await fetch(store.url, { method: 'POST', body: 'SELECT number AS a FROM numbers(50000) FORMAT Native' })
    ).arrayBuffer(),
  );
  let inserting = true;
  const inserts = (async () => {
    for (let i = 0; i < 20; i++) {
      const response = await fetch(
        `${store.url}/?query=${encodeURIComponent('INSERT INTO t FORMAT Native')}`,
        { method: 'POST', body },
      );
      assert.equal(response.status, 200, await response.text());
    }
    inserting = false;
  })();
  let reads = 0;
  while (inserting) {
    assert.equal(Number(await store.sql('SELECT count() FROM t')) % 50_000, 0);
    reads += 1;
  }
  await inserts;
  assert.ok(reads > 0);
  assert.equal(await store.sql('SELECT count() FROM t'), '1000000\n');
});

test('a stop lets a running statement finish, and refuses new ones', async () => {
  const other = await startStore({ dataDir: await newDataDir() });
  // As long as the engine allows: it is to be seen running.
  const slow = other.sql('SELECT sleep(3)', { query_id: 'slow' });
  while (
    (await other.sql("SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'slow'")) === '0\n'
  );
  const stopped = other.stop();
  assert.equal(await slow, '0\n');
  assert.equal(await stopped, 0);
  await assert.rejects(fetch(`${other.url}/ping`));
  await removeDataDir(other.dataDir);
});
