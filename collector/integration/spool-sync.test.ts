/** Spools of killed and offline jobs, a real collector, a real store, and `sluice sync` as it is typed. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createLogger } from '@sluice/sdk';
import { type CollectorProcess, startCollector, testConfig, until } from './collector-harness.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

let folder: string;
let spool: string;
let store: StoreProcess;
let collector: CollectorProcess;
beforeEach(async () => {
  folder = await newDataDir();
  spool = `${folder}/spool`;
  store = await startStore({ dataDir: `${folder}/store` });
  collector = await startCollector(testConfig(folder, store.url));
});
afterEach(async () => {
  await collector.stop();
  await store.stop();
  await removeDataDir(folder);
});

/** A job that logs 1 to `count` and then does as told; its output is what it says. */
function job(count: number, lines: string, environment: NodeJS.ProcessEnv = {}): ChildProcess {
  const script = `import { createLogger } from '@sluice/sdk';
    const log = createLogger({ project: 'spool', run: 'spooled', exitTimeoutMs: 100 });
    for (let step = 1; step <= ${count}; step++) log.event('train.step', { loss: 1 / step }, { step });
    ${lines}`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    env: { ...process.env, SLUICE_ENDPOINT: '127.0.0.1:9', SLUICE_SPOOL_DIR: spool, ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

async function killed(count: number, endpoint?: string): Promise<void> {
  const child = job(
    count,
    `while (log.stats().spooledEvents + log.stats().acknowledged < ${count}) await new Promise((done) => setTimeout(done, 5));
     console.log('ready'); setInterval(() => undefined, 1000);`,
    endpoint === undefined ? {} : { SLUICE_ENDPOINT: endpoint },
  );
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function sluice(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [`${root}collector/bin/sluice.js`, ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const summary = async (): Promise<string> =>
  (
    await store.sql(
      `SELECT count(), uniqExact(producer_id, sequence), countIf(sequence != step), (SELECT count() FROM sequence_gaps), (SELECT count() FROM losses) FROM events`,
    )
  ).trim();

test('sluice sync stores the events of killed and offline jobs once each, and removes their files', async () => {
  await killed(1000);
  await once(job(300, 'await log.close();', { SLUICE_MODE: 'offline' }), 'exit');
  const endpoint = `127.0.0.1:${collector.port}`;
  const { code, stdout, stderr } = await sluice('sync', spool, '--endpoint', endpoint);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.match(stdout, /^producer +project +run +rank +events +delivered +lost +state\n/);
  assert.match(stdout, /spool +spooled +0 +1000 +1000 +0 +delivered\n/);
  assert.match(stdout, /spool +spooled +0 +300 +300 +0 +delivered\n$/);
  assert.deepEqual(readdirSync(spool), []);
  await until(summary, (found) => found === '1300\t1300\t0\t0\t0');
  const again = await sluice('sync', spool, '--endpoint', endpoint);
  assert.deepEqual(again, { code: 0, stdout: `${spool} holds nothing to deliver.\n`, stderr: '' });
});

test('the next logger delivers what a job that was killed in the middle of its delivery left', async () => {
  const endpoint = `127.0.0.1:${collector.port}`;
  await killed(50_000, endpoint);
  await killed(20_000);
  const logger = createLogger({ project: 'spool', run: 'next', endpoint, spoolDir: spool });
  await until(summary, (found) => found === '70000\t70000\t0\t0\t0');
  await until(
    async () => readdirSync(spool).length,
    (left) => left === 0,
  );
  assert.equal((await logger.close()).acknowledged, true);
});

test('sluice sync without a collector says what is left and what to type, and fails', async () => {
  await killed(10);
  const { code, stdout, stderr } = await sluice(
    'sync',
    spool,
    '--endpoint',
    '127.0.0.1:9',
    '--timeout',
    '0.3',
  );
  assert.equal(code, 1);
  assert.match(stdout, /spool +spooled +0 +10 +0 +0 +left\n/);
  assert.match(
    stderr,
    /not everything was delivered; 1 of 1 producers are left in \S+\nStart a collector \(npx sluice up\)[^\n]*Then:\n {2}npx sluice sync \S+ --endpoint 127\.0\.0\.1:9 --timeout 0\.3\n$/,
  );
  const json = await sluice('sync', spool, '--endpoint', `127.0.0.1:${collector.port}`, '--json');
  assert.equal(json.code, 0);
  const [line] = json.stdout.trim().split('\n');
  const { run, events, delivered, state } = JSON.parse(line as string);
  assert.deepEqual(
    { run, events, delivered, state },
    { run: 'spooled', events: 10, delivered: 10, state: 'delivered' },
  );
  assert.equal((await sluice('sync', `${folder}/nothing`)).code, 6);
});

test('sluice sync fails when something of a spool is damaged, and says where to look', async () => {
  await killed(10);
  const folder = join(spool, readdirSync(spool)[0] as string);
  const file = join(folder, readdirSync(folder)[0] as string);
  const bytes = readFileSync(file);
  bytes.writeUInt8((bytes.at(-20) as number) ^ 1, bytes.length - 20);
  writeFileSync(file, bytes);
  const { code, stderr } = await sluice('sync', spool, '--endpoint', `127.0.0.1:${collector.port}`);
  assert.equal(code, 1);
  assert.match(stderr, /the spool of 1 of 1 producers is damaged/);
  const again = await sluice('sync', spool, '--endpoint', `127.0.0.1:${collector.port}`);
  assert.equal(again.code, 0);
  assert.match(again.stdout, /nothing to deliver, but 1 damaged spools that were put aside/);
});
