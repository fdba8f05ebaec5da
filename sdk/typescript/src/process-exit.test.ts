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

/** Runs a job of a few lines in a process of its own. */
function runJob(endpoint: string, lines: string): Promise<Ended> {
  const script = `import { createLogger } from '${sdk}';
    const log = createLogger({ run: 'exit', ackTimeoutMs: 500, exitTimeoutMs: 300, backoffMaxMs: 100 });
    ${lines}`;
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

test('a job whose collector is down ends after the deadline and says what was left', async () => {
  const gone = await startServer(new CollectorModel());
  gone.kill();
  const { code, stderr } = await runJob(gone.endpoint, `log.info('a'); log.info('b');`);
  assert.equal(code, 0);
  assert.match(stderr, /sluice: undelivered: 2 events of run exit were not acknowledged/);
});

test('a job whose collector hangs ends too', async (context) => {
  const endpoint = await serve(context, new CollectorModel(), { hangs: true });
  const { code, stderr } = await runJob(endpoint, `log.info('a');`);
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
  );
  assert.equal(code, 0);
  assert.match(stderr, /sluice: undelivered: 1 events/);
});

test('a job that calls process.exit() is told what it left behind', async (context) => {
  const endpoint = await serve(context, new CollectorModel());
  const { code, stderr } = await runJob(endpoint, `log.info('a'); process.exit(3);`);
  assert.equal(code, 3);
  assert.match(stderr, /undelivered: 1 events.*call and await close\(\)/);
});
