import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planStore } from '../workload/stored-events.js';
import { queriesOf } from './query-list.js';
import { type QueryMeasurements, queryProblem, queryResult, queryTable } from './query-result.js';

const plan = planStore(1_000_000);
const queries: QueryMeasurements[] = queriesOf(plan).map((query) => ({
  ...query,
  coldMs: 100,
  warmMs: [9, 12.34, 10],
  resultRows: 5,
  rowsRead: 1000,
  bytesRead: 2 ** 20,
}));

test('the first run is apart, and the SQL stands with the figures', () => {
  const measured = { plan, rows: plan.rows, fillMs: 1500, parts: 2, mergesSettled: true, queries };
  const result = queryResult(measured);
  const [loss] = result.queries;
  assert.deepEqual([loss?.cold_ms, loss?.median_ms, loss?.worst_ms, loss?.repeats], [100, 10, 12.3, 3]);
  assert.match(loss!.sql, /^SELECT step, metrics\['train_loss'\]/);
  assert.match(queryTable(result), /^slowest_rank +10\.0 +12\.3 +100\.0 +5 +1,000 +1\.0$/m);
});

test('a store that is not full, and a query that finds nothing, are problems', () => {
  assert.equal(queryProblem(plan, plan.rows, queries), undefined);
  assert.match(queryProblem(plan, 7, queries)!, /7 rows of/);
  assert.match(queryProblem(plan, plan.rows, [{ ...queries[0]!, resultRows: 0 }])!, /loss_curve found/);
});
