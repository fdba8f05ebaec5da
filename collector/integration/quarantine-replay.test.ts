/** `sluice quarantine`: what was refused is stored after all, or dropped, whatever kills the command. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { producerId } from '@sluice/collector/testing/wire.js';
import { type CollectorProcess, RawClient, startCollector, testConfig, until } from './collector-harness.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

const bin = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));
let folder: string;
let store: StoreProcess;
let collector: CollectorProcess;
let proxy: Server | undefined;
beforeEach(async () => {
  folder = await newDataDir();
  store = await startStore({ dataDir: `${folder}/store` });
});
afterEach(async () => {
  proxy?.closeAllConnections();
  proxy?.close();
  proxy = undefined;
  await collector.kill();
  await store.stop();
  await removeDataDir(folder);
});

const number = async (sql: string): Promise<number> => Number(await store.sql(sql));
const dropConstraint = (): Promise<string> => store.sql('ALTER TABLE events DROP CONSTRAINT allowed');

function spawnSluice(url: string, ...words: readonly string[]): ChildProcess {
  return spawn(process.execPath, [bin, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SLUICE_STORE_URL: url },
  });
}

async function sluice(
  ...words: readonly string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawnSluice(store.url, ...words);
  const ended = once(child, 'exit');
  const [out, err] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
  ]);
  return { code: (await ended)[0] as number | null, out, err };
}

/** A replay with shorter waits than the command has. */
async function replay(
  url: string,
  waits: object,
): Promise<{ code: number | null; out: string; err: string }> {
  const script = `import { quarantineReplay } from '@sluice/collector/cli/quarantine-replay.js';
    await quarantineReplay({ store: '${url}' }, ${JSON.stringify({ patienceMs: 30_000, recordMs: 0, lookMs: 50, ...waits })});`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  const ended = once(child, 'exit');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: (await ended)[0] as number | null, out, err };
}

const isBad = (sequence: number): boolean => sequence % 150 === 7;

/** Starts a collector and sends 1,000 events of which seven are refused. */
async function fill(more: object = {}): Promise<void> {
  collector = await startCollector({
    ...testConfig(folder, store.url),
    store: { url: store.url, retryInitialMs: 20, ...more },
    wal: { segmentAgeMs: 300, segmentMostAgeMs: 300, segmentEvents: 1000 },
  });
  await store.sql("ALTER TABLE events ADD CONSTRAINT allowed CHECK metrics['forbidden'] = 0");
  const client = new RawClient(collector.port);
  const outcome = await client.log(
    Array.from({ length: 4 }, (_, request) => ({
      producer: {
        id: producerId(1),
        project: 'p',
        run_id: 'r',
        job: 'train',
        host: 'h',
        rank: 3,
        attempt: 2,
        labels: { a: 'b' },
      },
      first_sequence: String(request * 250 + 1),
      events: Array.from({ length: 250 }, (_, index) => {
        const sequence = request * 250 + index + 1;
        return {
          // Every third has no time: it is stored with the moment in which the collector received it.
          ...(sequence % 3 !== 0 && {
            time_unix_nano: String(1_700_000_000_000_000_000n + BigInt(sequence)),
          }),
          name: `n${sequence % 2}`,
          step: String(-sequence),
          severity_number: 13,
          body: `größe ${sequence}`,
          metrics: { half: sequence / 2, ...(isBad(sequence) && { forbidden: 1 }) },
          attributes: { text: `s${sequence}` },
          trace_id: Buffer.alloc(16, sequence % 256),
          span_id: Buffer.alloc(8, sequence % 256),
        };
      }),
    })),
  );
  client.close();
  assert.equal(outcome.kind, 'ok');
  await until(
    () => number('SELECT (SELECT count() FROM events) + (SELECT sum(events) FROM quarantine)'),
    (events) => events >= 1000,
  );
  await until(
    async () => readdirSync(`${folder}/wal`).filter((name) => name.endsWith('.wal')).length,
    (files) => files === 1,
  );
}

/** All 1,000 events are stored once with all their fields, and neither ledger nor quarantine knows of any. */
async function assertAllStored(): Promise<void> {
  assert.equal(
    await store.sql(`
      SELECT count(), uniqExact(sequence), uniqExact(received_date), countIf(
        project != 'p' OR run_id != 'r' OR job != 'train' OR host != 'h' OR rank != 3 OR attempt != 2
        OR name != concat('n', toString(sequence % 2)) OR step != -sequence OR severity_number != 13
        OR body != concat('größe ', toString(sequence)) OR metrics['half'] * 2 != sequence
        OR attributes['text'] != concat('s', toString(sequence))
        OR trace_id != repeat(char(sequence % 256), 16) OR span_id != repeat(char(sequence % 256), 8)
        OR (sequence % 3 != 0 AND toUnixTimestamp64Nano(time) != 1700000000000000000 + sequence)
        OR (sequence % 3 = 0 AND abs(dateDiff('second', time, now())) > 300)
        OR producer_id != toUUID('01930000-0000-7000-8000-000000000001')
        OR NOT match(batch_id, '^[0-9a-f-]{36}\\\\.[0-9]+-[0-9]+$'))
      FROM events`),
    '1000\t1000\t1\t0\n',
  );
  assert.equal(await number('SELECT count() FROM quarantine'), 0);
  assert.equal(await number('SELECT count() FROM losses'), 0);
  assert.equal(await number('SELECT count() FROM sequence_gaps'), 0);
}

test('replay stores what was refused once the constraint is dropped, and leaves nothing behind', async () => {
  await fill();
  assert.equal(await number('SELECT sum(events) FROM quarantine'), 7);
  const refused = await sluice('quarantine', 'replay');
  assert.equal(refused.code, 1);
  assert.match(refused.out, /^0 events stored/);
  assert.match(refused.err, /Still refused by ClickHouse:\n.*\n +7 +469 +Constraint `allowed`/);
  assert.equal(await number('SELECT sum(events) FROM quarantine'), 7);
  await dropConstraint();
  const stored = await sluice('quarantine', 'replay');
  assert.deepEqual([stored.code, stored.err], [0, '']);
  assert.match(stored.out, /^7 events stored/);
  await assertAllStored();
  const again = await sluice('quarantine', 'replay');
  assert.equal(again.code, 0);
  assert.match(again.out, /^Nothing is there to replay/);
  await assertAllStored();
});

test('replay finds the good events in a range that was quarantined as it is', async () => {
  await fill({ bisectionInserts: 4 });
  const kept = await number('SELECT sum(events) FROM quarantine');
  assert.ok(kept > 100, `${kept} are in quarantine`);
  const first = await sluice('quarantine', 'replay');
  assert.equal(first.code, 1);
  assert.equal(await number('SELECT count() FROM events'), 993);
  assert.equal(await store.sql('SELECT count(), sum(events), min(events) FROM quarantine'), '7\t7\t1\n');
  assert.equal(
    await store.sql('SELECT count(), sum(last_sequence - first_sequence + 1) FROM losses'),
    '7\t7\n',
  );
  assert.equal(await number('SELECT count() FROM sequence_gaps'), 0);
  await dropConstraint();
  assert.equal((await sluice('quarantine', 'replay')).code, 0);
  await assertAllStored();
});

for (const bisectionInserts of [2000, 4]) {
  test(`a replay that is killed at any of its requests loses and doubles nothing, and the next finishes it (${bisectionInserts} inserts)`, async () => {
    await fill({ bisectionInserts });
    const isRange = bisectionInserts === 4;
    if (!isRange) await dropConstraint();
    let requests = 0;
    let dieAt = 0;
    let victim: ChildProcess | undefined;
    proxy = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', async () => {
        const isLast = ++requests === dieAt;
        // Half of them die before their request reaches the store, half after it was carried out.
        if (isLast && dieAt % 2 === 0) victim?.kill('SIGKILL');
        else {
          const answer = await fetch(`${store.url}${request.url}`, {
            method: 'POST',
            body: Buffer.concat(chunks),
          });
          const body = await answer.text();
          if (isLast) victim?.kill('SIGKILL');
          const code = answer.headers.get('x-clickhouse-exception-code');
          response
            .writeHead(answer.status, {
              'x-clickhouse-summary': '{}',
              ...(code !== null && { 'x-clickhouse-exception-code': code }),
            })
            .end(body);
        }
      });
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    let kills = 0;
    for (let step = 1; ; step++) {
      requests = 0;
      // Later and later, so that every run gets further than the one before.
      dieAt = Math.floor(2 * 1.6 ** step) + (step % 2);
      victim = spawnSluice(`http://127.0.0.1:${port}`, 'quarantine', 'replay');
      const [code] = (await once(victim, 'exit')) as [number | null];
      const missing = await number(`
        SELECT count() FROM (SELECT number + 1 AS s FROM numbers(1000)) WHERE s NOT IN (SELECT sequence FROM events)
          AND s NOT IN (SELECT arrayJoin(range(first_sequence, last_sequence + 1)) FROM quarantine)`);
      assert.equal(missing, 0, `after a kill at request ${dieAt}`);
      assert.equal(await store.sql('SELECT count() - uniqExact(sequence) FROM events'), '0\n');
      assert.equal(await number('SELECT count() FROM sequence_gaps'), 0, `after a kill at request ${dieAt}`);
      if (code !== null) {
        assert.equal(code, isRange ? 1 : 0);
        break;
      }
      kills++;
    }
    assert.ok(kills >= 4, `only ${kills} kills hit`);
    if (isRange) {
      assert.equal(await store.sql('SELECT count(), sum(events) FROM quarantine'), '7\t7\n');
      assert.equal(
        await store.sql('SELECT count(), sum(last_sequence - first_sequence + 1) FROM losses'),
        '7\t7\n',
      );
      await dropConstraint();
      assert.equal((await sluice('quarantine', 'replay')).code, 0);
    }
    await assertAllStored();
  });
}

test('a row that is not in the ledger is left to its collector, however old; only one that stays so is taken', async () => {
  await fill();
  await dropConstraint();
  // 7 and 157 waited for the store for an hour, and their collector is gone; that of 307 may come back.
  const old = new Date(Date.now() - 3_600_000);
  const hex = old.getTime().toString(16).padStart(12, '0');
  const segmentId = `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000001`;
  await store.sql(
    `INSERT INTO quarantine SELECT * REPLACE (concat('${segmentId}', substring(batch_id, 37)) AS batch_id,
       toDate('${old.toISOString().slice(0, 10)}') AS received_date) FROM quarantine WHERE first_sequence IN (7, 157)`,
  );
  await store.sql(
    `ALTER TABLE quarantine DELETE WHERE first_sequence IN (7, 157) AND NOT startsWith(batch_id, '${segmentId}') SETTINGS mutations_sync = 1`,
  );
  await store.sql(
    'ALTER TABLE losses DELETE WHERE first_sequence IN (7, 157, 307) SETTINGS mutations_sync = 1',
  );
  const run = replay(store.url, { recordMs: 4000 });
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await store.sql(
    `INSERT INTO losses (project, run_id, producer_id, rank, received_date, batch_id, first_sequence, last_sequence, origin, reason, detail, time)
     SELECT project, run_id, producer_id, 3, received_date, batch_id, first_sequence, last_sequence, 'store', 'quarantined', 'late', now64(9)
     FROM quarantine WHERE first_sequence = 7`,
  );
  const { code, out, err } = await run;
  assert.equal(code, 1);
  assert.match(
    out,
    /^6 events stored, out of 7 rows of quarantine\.\n1 row had no entry among the losses for 4 s/,
  );
  assert.match(err, /1 row left alone: a collector has yet to enter them among the losses/);
  assert.equal(await store.sql('SELECT count(), uniqExact(sequence) FROM events'), '999\t999\n');
  assert.equal(await store.sql('SELECT first_sequence FROM quarantine'), '307\n');
  assert.equal(await number('SELECT count() FROM losses'), 0);
});

test('a replay has patience for as long as the store takes inserts, however many one row needs', async () => {
  await fill({ bisectionInserts: 4 });
  proxy = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const { url = '' } = request;
      if (url.includes('INSERT')) await new Promise((resolve) => setTimeout(resolve, 250));
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
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  const { out, err } = await replay(`http://127.0.0.1:${port}`, { patienceMs: 2500 });
  assert.match(err, /Still refused by ClickHouse/);
  assert.doesNotMatch(err, /took nothing/);
  assert.match(out, /^\d+ events stored/);
  assert.equal(await number('SELECT count() FROM events'), 993);
});

test('two replays at the same time store everything once', async () => {
  await fill({ bisectionInserts: 40 });
  await dropConstraint();
  const both = await Promise.all([sluice('quarantine', 'replay'), sluice('quarantine', 'replay')]);
  assert.deepEqual(
    both.map(({ code }) => code),
    [0, 0],
    JSON.stringify(both),
  );
  await assertAllStored();
});

test('drop throws away what it is told and the ledger keeps the numbers; without a selection it refuses', async () => {
  await fill();
  const refused = await sluice('quarantine', 'drop');
  assert.equal(refused.code, 2);
  assert.match(refused.err, /--batch ID, --run R, --project P, or --all[\s\S]*npx sluice quarantine list/);
  assert.equal(await number('SELECT count() FROM quarantine'), 7);
  const [batch = ''] = (
    await store.sql('SELECT batch_id FROM quarantine ORDER BY first_sequence LIMIT 1')
  ).split('\n');
  const one = await sluice('quarantine', 'drop', '--batch', batch);
  assert.equal(one.code, 0);
  assert.match(one.out, new RegExp(`^dropped ${batch.replaceAll('.', '\\.')}: 1 event of run r`));
  assert.equal(await number('SELECT count() FROM quarantine'), 6);
  assert.match((await sluice('quarantine', 'drop', '--run', 'nobody')).out, /nothing was dropped/);
  const all = await sluice('quarantine', 'drop', '--all');
  assert.match(all.out, /6 events in 6 batches dropped/);
  assert.equal(await number('SELECT count() FROM quarantine'), 0);
  assert.equal(await number('SELECT count() FROM losses'), 7);
  assert.equal(await number('SELECT count() FROM sequence_gaps'), 0);
});

test('losses and quarantine are listed as tables and as JSON, with filters and a summary by reason', async () => {
  await fill();
  const listed = await sluice('losses', '--limit', '3');
  assert.equal(listed.code, 0);
  const lines = listed.out.split('\n');
  assert.match(
    lines[0] ?? '',
    /^project +run +rank +producer +sequences +count +origin +reason +time \(UTC\) +detail$/,
  );
  assert.match(lines[3] ?? '', /^p +r +3 +01930000-0000-7000-8000-000000000001 +907 +1 +store +quarantined /);
  assert.match(
    listed.out,
    /7 events lost: 7 quarantined \(store\)\nThe newest 3 of 7 rows are shown; --limit 7 shows all/,
  );
  const json = (await sluice('losses', '--json', '--producer', '01930000-0000-7000-8000-000000000001')).out;
  assert.equal(json.trim().split('\n').length, 7);
  assert.equal(JSON.parse(json.split('\n')[0] as string).first_sequence, 7);
  assert.match((await sluice('losses', '--run', 'other')).out, /No losses like that[\s\S]*npx sluice losses/);
  const kept = await sluice('quarantine', 'list', '--run', 'r');
  assert.match(kept.out, /7 events in 7 rows\n[\s\S]*npx sluice quarantine replay/);
  assert.equal(
    JSON.parse((await sluice('quarantine', 'list', '--json', '--limit', '1')).out).error_code,
    469,
  );
});
