import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayOf, insertOfRun, planStore, runName } from './stored-events.js';
import { readTrainingLog } from './training-log.js';

test('fifty million rows are a hundred runs over ten days', () => {
  const plan = planStore(50_000_000);
  assert.deepEqual([plan.runs, plan.days, plan.ranks], [100, 10, 8]);
  assert.ok(Math.abs(plan.rows - 50_000_000) < 400_000, `${plan.rows} rows`);
  assert.equal(dayOf(plan, 0), '2026-03-01');
  assert.equal(dayOf(plan, 99), '2026-03-10');
});

test('few rows are one run', () => {
  const plan = planStore(10_000);
  assert.deepEqual([plan.runs, plan.days], [1, 1]);
  assert.ok(plan.rows <= 10_000 && plan.rows > 5_000, `${plan.rows} rows`);
});

test('a stretch of a run is one INSERT whose names come in the order of the sorting key', () => {
  const plan = planStore(10_000);
  const sql = insertOfRun(plan, { run: 0, insert: 3 }, readTrainingLog());
  const names = [...sql.matchAll(/SELECT 'bench', 'run-0000', '([a-z.]+)'/g)].map(([, name]) => name);
  assert.deepEqual(names, [
    'gpu.memory',
    'log',
    'train.eval',
    'train.optimizer',
    'train.speed',
    'train.step',
  ]);
  assert.ok(sql.includes(runName(0)));
  assert.ok(!sql.includes('NaN'));
});
