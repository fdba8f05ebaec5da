import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createLogger, type Logger, type LoggerOptions } from './index.js';
import { CollectorModel, overloaded, RefusedCall } from './test-support/collector-model.js';
import { type FakeServer, type ServerBehaviour, startServer } from './test-support/fake-server.js';

/** A server and a logger that are gone when the test is. */
async function start(
  context: TestContext,
  given: { options?: LoggerOptions; behaviour?: ServerBehaviour; model?: CollectorModel } = {},
): Promise<{ model: CollectorModel; server: FakeServer; logger: Logger }> {
  const model = given.model ?? new CollectorModel();
  const server = await startServer(model, given.behaviour);
  const logger = createLogger({
    endpoint: server.endpoint,
    run: 'test',
    requestAgeMs: 10,
    callAgeMs: 50,
    backoffMinMs: 5,
    backoffMaxMs: 50,
    onDiagnostic: () => undefined,
    ...given.options,
  });
  context.after(async () => {
    await logger.close({ timeoutMs: 0 });
    server.kill();
  });
  return { model, server, logger };
}

function assertBalanced(logger: Logger): void {
  const { logged, acknowledged, dropped, bufferedEvents } = logger.stats();
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  assert.equal(logged, acknowledged + lost + bufferedEvents);
}

test('an event that was flushed is at the collector with everything it had', async (context) => {
  const { model, logger } = await start(context, {
    options: { project: 'p', rank: 3, labels: { cluster: 'a', nodes: 4 } },
  });
  logger.event('train.step', { loss: 0.5, phase: 'warmup' }, { step: 7, time: 1_700_000_000_123.5 });
  assert.deepEqual(await logger.flush(), { acknowledged: true, pending: 0 });
  assert.deepEqual(model.events(), [
    {
      time_unix_nano: '1700000000123500000',
      name: 'train.step',
      step: '7',
      metrics: { loss: 0.5 },
      attributes: { phase: 'warmup' },
    },
  ]);
  assert.equal([...model.producers.keys()][0], logger.producerId.replaceAll('-', ''));
  assert.equal(logger.stats().acknowledged, 1);
});

test('events arrive without a flush, and a logger that is quiet again makes no calls', async (context) => {
  const { model, logger } = await start(context);
  logger.info('hello');
  while (logger.stats().acknowledged < 1) await delay(5);
  const { calls } = model;
  await delay(150);
  assert.equal(model.calls, calls);
  assert.equal(model.events()[0]?.body, 'hello');
});

test('a hundred thousand events arrive once and in order', async (context) => {
  const { model, logger } = await start(context, { options: { callBytes: 1024 * 1024 } });
  for (let step = 1; step <= 100_000; step++) logger.event('tick', { value: step }, { step });
  assert.deepEqual(await logger.flush(), { acknowledged: true, pending: 0 });
  const events = model.events();
  assert.equal(events.length, 100_000);
  assert.ok(events.every((event, index) => event.step === String(index + 1)));
  assert.equal(logger.stats().bufferedBytes, 0);
  assertBalanced(logger);
});

test('what answers and speaks no gRPC is named, and what to check', async (context) => {
  const messages: string[] = [];
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { logger } = await start(context, {
    options: { endpoint, onDiagnostic: ({ message }) => messages.push(message) },
  });
  logger.event('e');
  while (messages.length === 0) await delay(5);
  const said = `what answers at ${endpoint} does not speak gRPC: it is no Sluice collector; check the host`;
  assert.ok(messages[0]?.includes(said), messages[0]);
  assert.match(messages[0] ?? '', /\(UNAVAILABLE: .*\); \d+ attempts so far/, 'gRPC’s words come last');
});

test('a collector that is killed in a call and comes back has every event once', async (context) => {
  const model = new CollectorModel();
  const first = await startServer(model, { onEnd: () => undefined });
  const { logger } = await start(context, { options: { endpoint: first.endpoint } });
  for (let step = 1; step <= 1000; step++) logger.event('tick', { value: step }, { step });
  while (model.events().length < 1000) await delay(5);
  // Stored but not acknowledged: the logger cannot know, and sends it all again.
  first.kill();
  logger.event('tick', {}, { step: 1001 });
  const second = await startServer(model, {}, first.port);
  context.after(() => second.kill());
  assert.deepEqual(await logger.flush(), { acknowledged: true, pending: 0 });
  assert.equal(model.events().length, 1001);
  assert.ok(logger.stats().duplicates >= 1000);
  assert.ok(logger.stats().resends >= 1);
  assertBalanced(logger);
});

test('a collector that forgot a part names what it expects, and gets it again', async (context) => {
  const { model, logger } = await start(context, { options: { requestBytes: 1024, callBytes: 16 * 1024 } });
  let isRefusing = true;
  model.beforeMessage = () => {
    // Forgets the last request it took, once, in the middle of a call.
    if (!isRefusing || model.messages < 5) return;
    isRefusing = false;
    const [producer] = model.producers.values();
    assert.ok(producer);
    const kept = [...producer.fates.keys()].slice(0, -20);
    producer.durable = kept.length;
    for (const sequence of producer.fates.keys()) if (sequence > kept.length) producer.fates.delete(sequence);
  };
  for (let step = 1; step <= 500; step++) logger.event('tick', { value: step }, { step });
  assert.equal((await logger.flush({ timeoutMs: 10_000 })).acknowledged, true);
  const fates = model.fates();
  assert.equal(fates.size, 500);
  assert.equal(isRefusing, false);
  assertBalanced(logger);
});

test('a request that is refused for good costs its own events only, and they are recorded as lost', async (context) => {
  const { model, logger } = await start(context, { options: { requestBytes: 1024, callBytes: 64 * 1024 } });
  model.beforeMessage = (bytes) => {
    if (Buffer.from(bytes).includes('poison')) throw new RefusedCall(3, 'not to my taste');
  };
  for (let step = 1; step <= 200; step++) {
    logger.event('tick', { value: step, word: step === 100 ? 'poison' : 'ordinary' }, { step });
  }
  assert.equal((await logger.flush({ timeoutMs: 10_000 })).acknowledged, true);
  const { dropped, acknowledged } = logger.stats();
  assert.ok(dropped.refused > 0 && dropped.refused < 40, `${dropped.refused} lost`);
  assert.equal(acknowledged, 200 - dropped.refused);
  const fates = [...model.fates().values()];
  assert.equal(fates.length, 200);
  assert.equal(
    fates.filter((fate) => 'loss' in fate && fate.loss === 'LOSS_REASON_REFUSED').length,
    dropped.refused,
  );
  assertBalanced(logger);
});

test('an overloaded collector is left alone for as long as it asks', async (context) => {
  const { model, logger } = await start(context);
  model.beforeMessage = () => {
    if (model.calls === 1) throw overloaded(200);
  };
  const startedMs = performance.now();
  logger.info('patience');
  assert.equal((await logger.flush()).acknowledged, true);
  assert.equal(model.calls, 2);
  assert.ok(performance.now() - startedMs >= 200);
});

test('a message that is too large for the collector is given up after a few tries', async (context) => {
  const { model, logger } = await start(context, { options: { requestBytes: 1024 } });
  model.beforeMessage = (bytes) => {
    if (bytes.length > 10_000) throw overloaded();
  };
  logger.event('small');
  logger.event('large', { text: 'x'.repeat(20_000) });
  logger.event('small');
  assert.equal((await logger.flush({ timeoutMs: 10_000 })).acknowledged, true);
  const { dropped } = logger.stats();
  assert.ok(dropped.refused >= 1);
  assert.equal(model.fates().size, 3);
  assertBalanced(logger);
});

test('a collector that hangs is left after a while, and a flush ends at its deadline', async (context) => {
  const { model, logger } = await start(context, {
    behaviour: { hangs: true },
    options: { ackTimeoutMs: 100 },
  });
  logger.info('anyone?');
  assert.deepEqual(await logger.flush({ timeoutMs: 50 }), { acknowledged: false, pending: 1 });
  while (model.calls < 2) await delay(5);
  assert.match(logger.stats().lastError ?? '', /no progress/);
});

test('a buffer stays within its bound while the collector hangs, and drops are counted', async (context) => {
  const bufferBytes = 256 * 1024;
  const { logger } = await start(context, { behaviour: { hangs: true }, options: { bufferBytes } });
  for (let round = 0; round < 20; round++) {
    for (let step = 1; step <= 1000; step++)
      logger.event('tick', { value: step, text: `${'x'.repeat(50)} ${step}` }, { step });
    await delay(1);
    assert.ok(logger.stats().bufferedBytes <= bufferBytes + 8192, String(logger.stats().bufferedBytes));
  }
  assert.ok(logger.stats().dropped.buffer_full > 10_000);
  assertBalanced(logger);
  const closed = await logger.close({ timeoutMs: 20 });
  assert.equal(closed.acknowledged, false);
  assert.equal(logger.stats().dropped.closed, closed.pending);
  assertBalanced(logger);
});

test('events that were dropped while the collector was away are recorded there when it is back', async (context) => {
  const model = new CollectorModel();
  const first = await startServer(model);
  first.kill();
  const { logger } = await start(context, { options: { endpoint: first.endpoint, bufferBytes: 64 * 1024 } });
  for (let step = 1; step <= 5000; step++) {
    logger.event('tick', { value: step }, { step, severity: step % 50 === 0 ? 'error' : 'info' });
  }
  const second = await startServer(model, {}, first.port);
  context.after(() => second.kill());
  assert.equal((await logger.flush({ timeoutMs: 10_000 })).acknowledged, true);
  const fates = [...model.fates().values()];
  assert.equal(fates.length, 5000);
  assert.equal(fates.filter((fate) => 'loss' in fate).length, logger.stats().dropped.buffer_full);
  const kept = model.events().filter((event) => event.severity_number === 17);
  assert.equal(kept.length, 100, 'no error was dropped for the sake of lesser events');
  assertBalanced(logger);
});

test('closing twice is closing once, and what is logged later is counted as lost', async (context) => {
  const { model, logger } = await start(context);
  logger.info('last words');
  const closing = logger.close();
  assert.equal(logger.close(), closing);
  assert.deepEqual(await closing, { acknowledged: true, pending: 0 });
  logger.info('too late');
  assert.equal(logger.stats().dropped.closed, 1);
  assert.equal(model.events().length, 1);
  assert.deepEqual(await logger.flush(), { acknowledged: false, pending: 0 });
  assertBalanced(logger);
});

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
