/** Spools of real processes, on a real disk, that are really killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLogger, syncSpool } from '../index.js';
import { CollectorModel } from '../test-support/collector-model.js';
import { startServer } from '../test-support/fake-server.js';
import { folderName } from './format.js';
import { ownerText, thisProcess } from './owner.js';

const sdk = new URL('../index.js', import.meta.url).href;
const nowhere = '127.0.0.1:9';
const quiet = { onDiagnostic: () => undefined };

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sluice-spool-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A job of a few lines; what it writes to stdout is read line by line by `said`. */
function startJob(spoolDir: string, endpoint: string, lines: string): ChildProcess {
  const script = `import { createLogger } from '${sdk}';
    const log = createLogger({ run: 'job', exitTimeoutMs: 200, backoffMaxMs: 100 });
    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    const say = (text) => process.stdout.write(text + '\\n');
    ${lines}`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, SLUICE_ENDPOINT: endpoint, SLUICE_SPOOL_DIR: spoolDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function said(job: ChildProcess): Promise<string> {
  const [text] = await once(job.stdout!, 'data');
  return String(text).trim();
}

async function ended(job: ChildProcess): Promise<{ stderr: string; stdout: string }> {
  const output = { stderr: '', stdout: '' };
  job.stderr!.on('data', (text) => (output.stderr += text));
  job.stdout!.on('data', (text) => (output.stdout += text));
  await once(job, 'close');
  return output;
}

/** Runs a job until it has said that its events are in the file, and kills it. */
async function kill(spoolDir: string, count: number, endpoint = nowhere): Promise<void> {
  const job = startJob(
    spoolDir,
    endpoint,
    `for (let step = 1; step <= ${count}; step++) log.event('tick', { value: step }, { step });
     while (log.stats().spooledEvents < ${count}) await pause(5);
     say('spooled'); await pause(60_000);`,
  );
  assert.equal(await said(job), 'spooled');
  job.kill('SIGKILL');
  await once(job, 'exit');
}

async function serve(context: TestContext, model: CollectorModel): Promise<string> {
  const server = await startServer(model);
  context.after(() => server.kill());
  return server.endpoint;
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let wait = 0; !isTrue(); wait++) {
    assert.ok(wait < 2000, 'it never came true');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Every event of every producer, each with its own number. */
function assertArrived(model: CollectorModel, count: number): void {
  for (const { fates } of model.producers.values()) {
    for (const [sequence, fate] of fates) {
      assert.ok('event' in fate, `${sequence} is lost`);
      assert.equal(fate.event.step, String(sequence));
    }
  }
  assert.equal(
    [...model.producers.values()].reduce((sum, { fates }) => sum + fates.size, 0),
    count,
  );
}

test('what a killed job logged one flush interval before arrives by the next logger, once', async (context) => {
  const spoolDir = folder(context);
  await kill(spoolDir, 1000);
  const model = new CollectorModel();
  const logger = createLogger({ endpoint: await serve(context, model), spoolDir, ...quiet });
  await until(() => readdirSync(spoolDir).length === 0);
  assertArrived(model, 1000);
  assert.equal((await logger.close()).acknowledged, true);
  assert.deepEqual(readdirSync(spoolDir), []);
});

test('it arrives by sluice sync, once, however often and by however many at once', async (context) => {
  const spoolDir = folder(context);
  await kill(spoolDir, 1000);
  await kill(spoolDir, 500);
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const results = await Promise.all([1, 2, 3].map(() => syncSpool(spoolDir, { endpoint, ...quiet })));
  assert.ok(results.every(({ isComplete }) => isComplete));
  const delivered = results.flatMap(({ producers }) =>
    producers.filter(({ state }) => state === 'delivered'),
  );
  assert.deepEqual(delivered.map(({ run, events, delivered }) => [run, events, delivered]).sort(), [
    ['job', 1000, 1000],
    ['job', 500, 500],
  ]);
  assertArrived(model, 1500);
  assert.ok(model.marks.length >= 2, 'whoever types it looks into SQL next');
  assert.deepEqual(await syncSpool(spoolDir, { endpoint, ...quiet }), { producers: [], isComplete: true });
  assert.deepEqual(readdirSync(spoolDir), []);
});

test('two jobs that start at once on one spool deliver it once', async (context) => {
  const spoolDir = folder(context);
  await kill(spoolDir, 2000);
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const jobs = [1, 2].map(() =>
    startJob(
      spoolDir,
      endpoint,
      `const { readdirSync } = await import('node:fs');
       for (let look = 0; look < 6000 && readdirSync(process.env.SLUICE_SPOOL_DIR).length > 0; look++) await pause(10);
       await log.close();`,
    ),
  );
  const ends = await Promise.all(jobs.map(ended));
  for (const { stderr } of ends) assert.equal(stderr, '');
  assertArrived(model, 2000);
  assert.deepEqual(readdirSync(spoolDir), []);
});

test('a job that never met its collector ends, says where its events are, and what to type', async (context) => {
  const spoolDir = folder(context);
  for (const [how, lines] of [
    ['closes', 'await log.close({ timeoutMs: 100 });'],
    ['ends by itself', ''],
    ['calls process.exit()', 'process.exit();'],
    ['calls process.exit() while a write is under way', 'await pause(201); process.exit();'],
  ] as const) {
    const job = startJob(
      spoolDir,
      nowhere,
      `for (let step = 1; step <= 300; step++) log.event('tick', {}, { step }); ${lines}`,
    );
    const { stderr } = await ended(job);
    const pattern = /sluice: spooled: 300 events of run job .*: npx sluice sync (\S+)\n$/;
    assert.equal(pattern.exec(stderr)?.[1], spoolDir, `${how}: ${stderr}`);
  }
  const model = new CollectorModel();
  await syncSpool(spoolDir, { endpoint: await serve(context, model), ...quiet });
  assertArrived(model, 1200);
});

test('a job whose collector answers leaves nothing behind, closed or not', async (context) => {
  const spoolDir = folder(context);
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  for (const lines of ['await log.close();', '']) {
    const { stderr } = await ended(
      startJob(
        spoolDir,
        endpoint,
        `log.event('tick', {}, { step: 1 }); while (log.stats().acknowledged < 1) await pause(20); ${lines}`,
      ),
    );
    assert.equal(stderr, '');
    assert.deepEqual(readdirSync(spoolDir), []);
  }
  assertArrived(model, 2);
});

test('an offline job makes no connection, and what it flushed is synced later', async (context) => {
  const spoolDir = folder(context);
  const job = startJob(
    spoolDir,
    nowhere,
    `const offline = createLogger({ mode: 'offline', run: 'offline' });
     for (let step = 1; step <= 100; step++) offline.event('tick', {}, { step });
     say(JSON.stringify([await offline.flush(), offline.stats().calls])); process.kill(process.pid, 'SIGKILL');`,
  );
  assert.deepEqual(JSON.parse(await said(job)), [{ acknowledged: false, pending: 100, spooled: 100 }, 0]);
  await once(job, 'close');
  const model = new CollectorModel();
  const { producers } = await syncSpool(spoolDir, { endpoint: await serve(context, model), ...quiet });
  assert.deepEqual(
    producers.filter(({ events }) => events > 0).map(({ run }) => run),
    ['offline'],
  );
  assertArrived(model, 100);
});

test('the spool of a job that lives is left to it', async (context) => {
  const spoolDir = folder(context);
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const job = startJob(
    spoolDir,
    nowhere,
    `log.event('tick', {}, { step: 1 }); while (log.stats().spooledEvents < 1) await pause(5);
     say('spooled'); await pause(60_000);`,
  );
  assert.equal(await said(job), 'spooled');
  const logger = createLogger({ endpoint, spoolDir, ...quiet });
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const { producers, isComplete } = await syncSpool(spoolDir, { endpoint, ...quiet, otherHosts: true });
  assert.deepEqual([producers.map(({ state }) => state), isComplete], [['in use'], true]);
  await logger.close();
  assert.equal(model.messages, 0);
  job.kill('SIGKILL');
  await once(job, 'exit');
  assert.equal((await syncSpool(spoolDir, { endpoint, ...quiet })).producers[0]?.state, 'delivered');
  assertArrived(model, 1);
});

test('an empty folder is nobody’s, and it is said that it held nothing', async (context) => {
  const spoolDir = folder(context);
  const path = join(spoolDir, folderName(Buffer.alloc(16, 7)));
  mkdirSync(path);
  const { producers, isComplete } = await syncSpool(spoolDir, { endpoint: nowhere, ...quiet });
  assert.deepEqual(
    [isComplete, producers.map(({ project, run, state, detail }) => [project, run, state, detail])],
    [true, [['', '', 'delivered', `nothing to send: ${path} held no event`]]],
  );
  assert.deepEqual(readdirSync(spoolDir), []);
});

test('the spool of another host is taken only if that is asked for', async (context) => {
  const spoolDir = folder(context);
  const job = startJob(spoolDir, nowhere, `log.event('tick', {}, { step: 1 }); process.exit();`);
  await ended(job);
  const [name] = readdirSync(spoolDir);
  const elsewhere = ownerText({ ...thisProcess(), host: 'node-17' });
  renameSync(
    join(spoolDir, name!),
    join(spoolDir, folderName(Buffer.from(name!.replaceAll('-', ''), 'hex'), elsewhere)),
  );
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const first = await syncSpool(spoolDir, { endpoint, ...quiet });
  assert.deepEqual(
    [first.isComplete, first.producers[0]?.state, first.producers[0]?.host],
    [false, 'other host', 'node-17'],
  );
  const second = await syncSpool(spoolDir, { endpoint, otherHosts: true, ...quiet });
  assert.deepEqual([second.isComplete, second.producers[0]?.state], [true, 'delivered']);
  assertArrived(model, 1);
});

test('a sync without a collector gives up in time, and leaves everything for the next one', async (context) => {
  const spoolDir = folder(context);
  await kill(spoolDir, 100);
  const { producers, isComplete } = await syncSpool(spoolDir, {
    endpoint: nowhere,
    // Time for one try on a busy machine.
    timeoutMs: 2000,
    ...quiet,
  });
  assert.equal(isComplete, false);
  assert.deepEqual(
    producers.map(({ state, events, delivered, run }) => [state, events, delivered, run]),
    [['left', 100, 0, 'job']],
  );
  assert.match(producers[0]!.detail, /ECONNREFUSED|UNAVAILABLE/);
  const model = new CollectorModel();
  await syncSpool(spoolDir, { endpoint: await serve(context, model), ...quiet });
  assertArrived(model, 100);
});

test('a job on a directory that cannot be made logs, and says so once', async (context) => {
  const directory = folder(context);
  writeFileSync(join(directory, 'file'), '');
  const model = new CollectorModel();
  const job = startJob(
    join(directory, 'file', 'spool'),
    await serve(context, model),
    `for (let step = 1; step <= 3; step++) { log.event('tick', {}, { step }); await pause(300); } await log.close();`,
  );
  const { stderr } = await ended(job);
  assert.match(stderr, /^sluice: spool: the spool directory \S+ \(spoolDir\) cannot be written: [^\n]*\n$/);
  assertArrived(model, 3);
});

test('a job with nothing else to do does not live on to deliver what others left', async (context) => {
  const spoolDir = folder(context);
  await kill(spoolDir, 100);
  // The collector is gone, so that the delivery goes on for as long as the job does.
  const job = startJob(
    spoolDir,
    nowhere,
    `const startedMs = performance.now();
     process.on('exit', () => say(Math.round(performance.now() - startedMs)));
     await pause(2000);`,
  );
  const { stdout } = await ended(job);
  // Otherwise it would never end.
  assert.ok(Number(stdout) < 60_000, `${stdout} ms`);
  const model = new CollectorModel();
  await syncSpool(spoolDir, { endpoint: await serve(context, model), ...quiet });
  assertArrived(model, 100);
});
