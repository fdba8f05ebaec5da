/** What is flushed shows in SQL at once, and nothing else is forced: real loggers, a real collector, a real store. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { producerId } from '@sluice/collector/testing/wire.js';
import { createLogger, type Logger } from '@sluice/sdk';
import { type CollectorProcess, RawClient, startCollector, testConfig, until } from './collector-harness.js';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

let folder: string;
let store: StoreProcess;
let collector: CollectorProcess;
const loggers: Logger[] = [];
beforeEach(async () => {
  folder = await newDataDir();
  store = await startStore({ dataDir: `${folder}/store` });
  // So long that whatever shows before its end was asked for.
  collector = await startCollector({
    ...testConfig(folder, store.url),
    wal: { segmentAgeMs: 100, segmentMostAgeMs: 600_000 },
  });
});
afterEach(async () => {
  await Promise.all(loggers.splice(0).map((logger) => logger.close({ timeoutMs: 0 })));
  await collector.stop();
  await store.stop();
  await removeDataDir(folder);
});

function loggerOf(run: string): Logger {
  const endpoint = `127.0.0.1:${collector.port}`;
  const logger = createLogger({ run, endpoint, requestAgeMs: 10, callAgeMs: 20 });
  loggers.push(logger);
  return logger;
}

const countOf = async (run: string): Promise<number> =>
  Number(await store.sql(`SELECT count() FROM events WHERE run_id = '${run}'`));

/** Logs one event more and waits until it is acknowledged, without a flush. */
async function logQuietly(logger: Logger): Promise<void> {
  const { acknowledged } = logger.stats();
  logger.info('quiet');
  while (logger.stats().acknowledged === acknowledged) await pause(5);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test('flushed events are in SQL soon, those of a quiet logger are not forced, and close() is a flush', async () => {
  const quiet = loggerOf('quiet');
  await logQuietly(quiet);
  await pause(1500);
  assert.equal(await countOf('quiet'), 0);

  const flushing = loggerOf('flushing');
  for (let round = 1; round <= 3; round++) {
    flushing.info('look at this');
    assert.equal((await flushing.flush()).acknowledged, true);
    await until(
      () => countOf('flushing'),
      (count) => count === round,
    );
  }
  assert.equal(await countOf('quiet'), 1, 'it shared the segment of the first flush');

  await logQuietly(quiet);
  // Nothing of its own is in the open segment.
  await flushing.flush();
  await pause(1500);
  assert.equal(await countOf('quiet'), 1);

  // Acknowledged already, so the wish goes alone.
  assert.equal((await quiet.close()).acknowledged, true);
  await until(
    () => countOf('quiet'),
    (count) => count === 2,
  );
});

test('one request in one call is in SQL soon if it asks for that', async () => {
  const client = new RawClient(collector.port);
  const request = { producer: { id: producerId(1), run_id: 'once' }, first_sequence: '1', events: [{}] };
  assert.equal((await client.logOnce(request)).kind, 'ok');
  await pause(1000);
  assert.equal(await countOf('once'), 0);
  // The same again: a duplicate, and whoever sends it wants to see it.
  assert.equal((await client.logOnce({ ...request, flush: true })).kind, 'ok');
  await until(
    () => countOf('once'),
    (count) => count === 1,
  );
  client.close();
});

test('loggers that flush all the time share parts', async () => {
  const fleet = Array.from({ length: 8 }, (_, index) => loggerOf(`fleet-${index}`));
  const startedMs = performance.now();
  await Promise.all(
    fleet.map(async (logger) => {
      for (let round = 0; round < 40; round++) {
        logger.info('all the time');
        assert.equal((await logger.flush()).acknowledged, true);
        await pause(20);
      }
    }),
  );
  const elapsedMs = performance.now() - startedMs;
  const answer = await until(
    () => store.sql('SELECT count(), uniqExact(batch_id) FROM events'),
    (text) => text.startsWith('320\t'),
  );
  const batches = Number(answer.split('\t')[1]);
  // wal.flushSealMs is 200: the first, one an interval, and the last.
  assert.ok(batches <= elapsedMs / 200 + 2, `${batches} batches in ${elapsedMs} ms`);
});
