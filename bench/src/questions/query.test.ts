import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BenchRun } from '../run/bench-run.js';
import { fillStore } from '../run/fill-store.js';
import { startStore } from '../run/parts.js';
import { numbersOf, sql } from '../run/store-sql.js';
import { planStore } from '../workload/stored-events.js';
import { queriesOf } from './query-list.js';

test('a small store is filled as planned, and every query finds something in it', async () => {
  const run = await BenchRun.open({ deadlineMs: 60_000 });
  try {
    const { storeUrl } = await startStore(run, run.directory);
    const plan = planStore(10_000);
    await fillStore(storeUrl, plan, () => {});
    const [rows, unordered] = numbersOf(
      await sql(storeUrl, 'SELECT count(), countIf(length(metrics) != 4) FROM events'),
    );
    assert.equal(rows, plan.rows);
    assert.equal(unordered, (plan.ranks * plan.steps) / 20, 'lines of text have no metrics');
    for (const { name, sql: statement } of queriesOf(plan)) {
      assert.notEqual((await sql(storeUrl, statement)).trim(), '', name);
    }
  } finally {
    await run.close();
  }
});
