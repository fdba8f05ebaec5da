import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { CollectorModel } from './test-support/collector-model.js';
import { type ServerBehaviour, startServer } from './test-support/fake-server.js';

const sdk = new URL('./index.js', import.meta.url).href;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where nothing is to be waited for, as no collector answers. */
const impatient = '{ ackTimeoutMs: 500, exitTimeoutMs: 300 }';
/** Where a collector answers: as long as a busy machine may take. */
const patient = '{ exitTimeoutMs: 60_000, closeTimeoutMs: 60_000 }';

function jobOf(lines: string, waits: string): string {
  return `import { createLogger } from '${sdk}';
    const log = createLogger({ run: 'exit', backoffMaxMs: 100, ...${waits} });
    ${lines}`;
}

/** Runs a job of a few lines in a process of its own. */
function runJob(endpoint: string, lines: string, waits = patient): Promise<Ended> {
  const script = jobOf(lines, waits);
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, SLUICE_ENDPOINT: endpoint },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => (output.stdout += text));
  child.stderr.on('data', (text) => (output.stderr += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...output })));
}

async function serve(
  context: TestContext,
  model: CollectorModel,
  behaviour?: ServerBehaviour,
): Promise<string> {
  const server = await startServer(model, behaviour);
  context.after(() => server.kill());
  return server.endpoint;
}

test('a job that logs and never closes ends by itself with everything delivered', async (context) => {
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const { code, stderr } = await runJob(endpoint, `for (let i = 0; i < 1000; i++) log.event('tick', { i });`);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.equal(model.events().length, 1000);
});

test('a job that works for a while and then ends delivers what came last', async (context) => {
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const { code, stderr } = await runJob(
    endpoint,
    `for (let i = 0; i < 5; i++) { log.event('tick', { i }); await new Promise((done) => setTimeout(done, 120)); }
     log.info('done');`,
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.equal(model.events().length, 6);
});

test('a job that closes its logger ends at once', async (context) => {
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const { code, stdout } = await runJob(
    endpoint,
    `log.info('x'); console.log(JSON.stringify(await log.close()));`,
  );
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { acknowledged: true, pending: 0 });
  assert.equal(model.events().length, 1);
});

test('a job that flushes what is acknowledged already, and ends, has asked for it to be committed', async (context) => {
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const { code, stderr } = await runJob(
    endpoint,
    `const quick = createLogger({ callAgeMs: 0, requestAgeMs: 0 }); quick.info('x');
     while (quick.stats().acknowledged < 1) await new Promise((done) => setTimeout(done, 5));
     await quick.flush();`,
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.deepEqual(
    model.marks.map(({ durable, isAlone }) => [durable, isAlone]),
    [[1, true]],
  );
});

test('a job does not live on for a collector that does not answer that', async (context) => {
  const model = new CollectorModel();
  const endpoint = await serve(context, model, {
    onEnd: (answer) => {
      if (model.calls === 1) answer();
    },
  });
  const { code, stdout } = await runJob(
    endpoint,
    `const quick = createLogger({ callAgeMs: 0, requestAgeMs: 0, exitTimeoutMs: 60_000 }); quick.info('x');
     while (quick.stats().acknowledged < 1) await new Promise((done) => setTimeout(done, 5));
     const startedMs = performance.now();
     await quick.flush();
     process.on('exit', () => console.log(Math.round(performance.now() - startedMs)));`,
  );
  assert.equal(code, 0);
  assert.equal(model.marks.length, 1);
  // 200 ms as it is meant, and not the minute that it has for events; a machine that is busy may take its time.
  assert.ok(Number(stdout) < 20_000, `${stdout} ms`);
});

test('a job whose collector is down ends after the deadline and says what was left', async () => {
  const gone = await startServer(new CollectorModel());
  gone.kill();
  const { code, stderr } = await runJob(gone.endpoint, `log.info('a'); log.info('b');`, impatient);
  assert.equal(code, 0);
  assert.match(stderr, /sluice: undelivered: 2 events of run exit were not acknowledged/);
});

test('a job whose collector hangs ends too', async (context) => {
  const endpoint = await serve(context, new CollectorModel(), { hangs: true });
  const { code, stderr } = await runJob(endpoint, `log.info('a');`, impatient);
  assert.equal(code, 0);
  assert.match(stderr, /sluice: undelivered: 1 events/);
});

test('a job that ends while a call hangs does not wait for the call', async (context) => {
  const model = new CollectorModel();
  const endpoint = await serve(context, model, { hangs: true });
  const { code, stderr } = await runJob(
    endpoint,
    `const patient = createLogger({ requestAgeMs: 0, ackTimeoutMs: 600_000, exitTimeoutMs: 300, callAgeMs: 50 });
     patient.info('a');
     await new Promise((done) => setTimeout(done, 500));`,
    impatient,
  );
  assert.equal(code, 0);
  assert.match(stderr, /sluice: undelivered: 1 events/);
});

test('a job that calls process.exit() is told what it left behind', async (context) => {
  const endpoint = await serve(context, new CollectorModel());
  const { code, stderr } = await runJob(endpoint, `log.info('a'); process.exit(3);`, impatient);
  assert.equal(code, 3);
  assert.match(stderr, /undelivered: 1 events.*call and await close\(\)/);
});

test('a process that ends by itself delivers losses too', async (context) => {
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const { code, stderr } = await runJob(
    endpoint,
    `log.event('small'); await log.flush(); log.event('large', { text: 'x'.repeat(2_000_000) });`,
  );
  assert.equal(code, 0);
  assert.match(stderr, /^sluice: too_large: [^\n]*\n$/);
  assert.deepEqual(model.fates().get(2), { loss: 'LOSS_REASON_TOO_LARGE' });
});

test('a closed logger has delivered its losses', async (context) => {
  const model = new CollectorModel();
  const endpoint = await serve(context, model);
  const { code, stdout } = await runJob(
    endpoint,
    `log.event('small'); await log.flush(); log.event('large', { text: 'x'.repeat(2_000_000) });
     console.log(JSON.stringify(await log.close())); process.exit(0);`,
  );
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { acknowledged: true, pending: 0 });
  assert.deepEqual(model.fates().get(2), { loss: 'LOSS_REASON_TOO_LARGE' });
});

test('a job that leaves nothing but losses behind ends, and is told so', async () => {
  const gone = await startServer(new CollectorModel());
  gone.kill();
  const large = `log.event('large', { text: 'x'.repeat(2_000_000) });`;
  for (const [end, expectedCode] of [
    ['', 0],
    ['await log.close({ timeoutMs: 100 });', 0],
    ['process.exit(3);', 3],
  ] as const) {
    const { code, stderr } = await runJob(gone.endpoint, `${large} ${large} ${end}`, impatient);
    assert.equal(code, expectedCode);
    assert.match(stderr, /sluice: undelivered: 0 events and 2 losses of run exit were not acknowledged/);
  }
});

test('a job whose stderr nobody reads any more goes on', async () => {
  const gone = await startServer(new CollectorModel());
  gone.kill();
  // Diagnostics of three kinds, the second and the third when the pipe is known to be broken.
  const job = jobOf(
    `await new Promise((done) => setTimeout(done, 200));
     createLogger({ bufferBytes: -1 });
     await new Promise((done) => setTimeout(done, 50));
     log.event('large', { text: 'x'.repeat(2_000_000) });
     log.info('a');
     await log.close({ timeoutMs: 100 });
     await new Promise((done) => setTimeout(done, 50));
     console.log('done');`,
    impatient,
  );
  // A pipe as the shell makes it, whose reader is gone at once; what is to be known of the job goes by descriptor 3.
  const shell = '{ "$0" --input-type=module -e "$1" 2>&1 >&3; echo "code $?" >&3; } | true';
  const child = spawn('sh', ['-c', shell, process.execPath, job], {
    env: { ...process.env, SLUICE_ENDPOINT: gone.endpoint },
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  let told = '';
  child.stdio[3]!.on('data', (text) => (told += text));
  await new Promise((resolve) => child.on('close', resolve));
  assert.equal(told, 'done\ncode 0\n');
});
