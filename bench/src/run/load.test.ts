import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BenchRun } from './bench-run.js';
import { logAll, shareOf } from './load.js';
import { startParts, stopParts } from './parts.js';
import { numbersOf, sql } from './store-sql.js';

test('a fixed number of events is shared among the processes, a duration is the same for each', () => {
  const shares = [0, 1, 2].map((index) => shareOf({ events: 11 }, index, 3));
  assert.deepEqual(shares, [{ events: 5 }, { events: 3 }, { events: 3 }]);
  assert.deepEqual(shareOf({ seconds: 4 }, 2, 3), { seconds: 4 });
});

test('a small load goes through all parts, and every logger is a producer', async () => {
  const run = await BenchRun.open({ deadlineMs: 60_000 });
  try {
    const parts = await startParts(run, {
      directory: join(run.directory, 'parts'),
      processes: 2,
      loggers: 3,
      bufferedBytes: 2 ** 20,
      sdk: { run: 'small', workload: { kind: 'wide', keys: 25 }, encoding: 'rows' },
    });
    const logged = await logAll(parts, { events: 3001 });
    assert.equal(logged.events, 3001);
    const [stored, producers, ranks] = numbersOf(
      await sql(parts.storeUrl, 'SELECT count(), uniqExact(producer_id), uniqExact(rank) FROM events'),
    );
    assert.deepEqual([stored, producers, ranks], [3001, 3, 3]);
    await stopParts(parts);
  } finally {
    await run.close();
  }
});
