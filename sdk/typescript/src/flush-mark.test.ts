/** When the collector is asked to commit what it has, and when not. The model holds marks to messages of their own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CollectorModel, RefusedCall } from './test-support/collector-model.js';
import { MemoryDisk } from './test-support/memory-disk.js';
import { spoolLogger } from './test-support/spool-logger.js';
import { testLogger } from './test-support/test-logger.js';

test('what is sent by itself asks for nothing', async () => {
  const { logger, clock, model } = testLogger({});
  for (let second = 0; second < 20; second++) {
    logger.event('e', { second });
    await clock.advance(1000);
  }
  assert.equal(logger.stats().acknowledged, 20);
  assert.deepEqual(model.marks, []);
});

test('a flush ends the call that carries the last of it with a mark, and no other call', async () => {
  const { logger, clock, model } = testLogger({ options: { requestBytes: 1024, callBytes: 2048 } });
  for (let step = 0; step < 1000; step++) logger.event('e', { step, text: 'some more text' });
  const flushed = logger.flush();
  await clock.advance(1000);
  assert.equal((await flushed).acknowledged, true);
  assert.ok(model.calls > 5);
  assert.deepEqual(model.marks, [{ call: model.calls, durable: 1000, isAlone: false }]);
});

test('close marks as flush does, and what a failed call carried is marked when it comes again', async () => {
  const { logger, clock, model } = testLogger({ faults: { losesAnswer: () => model.calls === 1 } });
  logger.event('e');
  const closed = logger.close();
  await clock.advance(1000);
  assert.equal((await closed).acknowledged, true);
  assert.deepEqual(
    model.marks.map(({ call }) => call),
    [1, 2],
  );
  assert.equal(clock.timers, 0);
});

test('a flush of what is acknowledged already resolves at once, and a mark goes alone, once', async () => {
  const { logger, clock, model, transport } = testLogger({});
  assert.equal((await logger.flush()).acknowledged, true);
  await clock.advance(5000);
  assert.equal(model.calls, 0, 'nothing was logged');
  logger.event('e');
  await clock.advance(5000);
  const { calls } = model;
  assert.deepEqual(await logger.flush(), { acknowledged: true, pending: 0 });
  assert.deepEqual(model.marks, [], 'nobody waited for it');
  await clock.advance(5000);
  assert.deepEqual(model.marks, [{ call: calls + 1, durable: 1, isAlone: true }]);
  await logger.flush();
  await logger.close();
  await clock.advance(5000);
  assert.equal(model.calls, calls + 1, 'nothing has come since');
  assert.equal(transport.mostOpenCalls, 1);
});

test('a flush that finds its events on a call that asks for its answer marks them behind it', async () => {
  const { logger, clock, model, transport } = testLogger({
    options: { callAgeMs: 0 },
    faults: { delayMs: () => 100 },
  });
  logger.event('e');
  await clock.advance(350);
  assert.equal(model.calls, 1);
  const flushed = logger.flush();
  await clock.advance(50);
  assert.equal((await flushed).acknowledged, true);
  await clock.advance(1000);
  assert.deepEqual(model.marks, [{ call: 2, durable: 1, isAlone: true }]);
  assert.equal(transport.mostOpenCalls, 1);
});

test('a flush of events that are on an open call ends that call with a mark at once', async () => {
  const { logger, clock, model } = testLogger({ options: { callAgeMs: 60_000 } });
  logger.event('e');
  const first = logger.flush();
  await clock.advance(100);
  assert.equal((await first).acknowledged, true);
  logger.event('e');
  await clock.advance(1000);
  assert.equal(model.events().length, 2, 'it is on a call that stays open');
  const second = logger.flush();
  await clock.advance(100);
  assert.equal((await second).acknowledged, true);
  assert.deepEqual(
    model.marks.map(({ durable }) => durable),
    [1, 2],
  );
});

test('a mark alone that fails is not sent again, says nothing, and costs no event anything', async () => {
  const { logger, clock, model, diagnostics } = testLogger({});
  logger.event('e');
  await clock.advance(5000);
  model.beforeMessage = () => {
    throw new RefusedCall(3, 'what is that');
  };
  const { calls } = model;
  await logger.flush();
  await clock.advance(60_000);
  assert.equal(model.calls, calls + 1);
  model.beforeMessage = undefined;
  logger.event('e');
  const flushed = logger.flush();
  await clock.advance(100);
  assert.equal((await flushed).acknowledged, true);
  assert.equal(model.fates().size, 2);
  assert.deepEqual(diagnostics, []);
});

test('close waits for a mark alone, and no longer than a moment', async () => {
  let hangs = false;
  const { logger, clock, model } = testLogger({ faults: { hangs: () => hangs, delayMs: () => 30 } });
  logger.event('e');
  await clock.advance(5000);
  hangs = true;
  let isClosed = false;
  const closed = logger.close().then((result) => {
    isClosed = true;
    return result;
  });
  await clock.advance(150);
  assert.equal(isClosed, false);
  assert.equal(model.marks.length, 1);
  await clock.advance(51);
  assert.deepEqual(await closed, { acknowledged: true, pending: 0 });
  assert.equal(clock.timers, 0);
});

test('close without time asks and does not wait', async () => {
  const { logger, clock } = testLogger({ faults: { hangs: () => true, delayMs: () => 30 } });
  logger.event('e');
  const closed = logger.close({ timeoutMs: 0 });
  await clock.advance(1);
  assert.equal((await closed).acknowledged, false);
});

test('events go on when a mark alone hangs', async () => {
  let hangs = false;
  const { logger, clock, model } = testLogger({
    options: { ackTimeoutMs: 1000 },
    faults: { hangs: () => hangs },
  });
  logger.event('e');
  await clock.advance(5000);
  hangs = true;
  await logger.flush();
  logger.event('e');
  await clock.advance(500);
  hangs = false;
  await clock.advance(2000);
  assert.equal(logger.stats().acknowledged, 2);
  assert.equal(model.fates().size, 2);
});

test('a logger with a spool marks too, and what is taken over from others is not marked', async () => {
  const disk = new MemoryDisk();
  const first = spoolLogger({ disk, faults: { breaksBefore: () => true } });
  first.logger.event('left behind');
  await first.run(1000);
  disk.kill(() => 0);
  const model = new CollectorModel();
  const startMs = first.clock.nowMs + 1000;
  const second = spoolLogger({ model, disk, takesOver: true, startMs });
  await second.run(10_000);
  assert.equal(model.producer(first.id).durable, 1);
  assert.deepEqual(model.marks, []);
  second.logger.event('mine');
  const flushed = second.logger.flush();
  await second.run(1000);
  assert.equal((await flushed).acknowledged, true);
  assert.equal(model.marks.length, 1);
});
