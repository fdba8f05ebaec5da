/** What people ask a full store: the statements that `query` times. */
import { dayOf, runName, type StorePlan, storedProject } from '../workload/stored-events.js';

export interface Query {
  readonly name: string;
  readonly sql: string;
}

export function queriesOf(plan: StorePlan): Query[] {
  const run = Math.floor(plan.runs / 2);
  const ofRun = `project = '${storedProject}' AND run_id = '${runName(run)}'`;
  const p99 = (where: string): string => `SELECT toStartOfHour(time) AS hour,
  quantile(0.99)(metrics['step_avg_ms']) AS p99_ms, count() AS events
FROM events
WHERE project = '${storedProject}' AND name = 'train.step'${where}
GROUP BY hour ORDER BY hour`;
  return [
    {
      name: 'loss_curve',
      sql: `SELECT step, metrics['train_loss'] AS loss
FROM events
WHERE ${ofRun} AND name = 'train.step' AND rank = 0
ORDER BY step`,
    },
    {
      name: 'last_errors',
      sql: `SELECT time, rank, name, body
FROM events
WHERE ${ofRun} AND severity_number >= 17
ORDER BY time DESC
LIMIT 100`,
    },
    { name: 'p99_by_hour_of_a_day', sql: p99(` AND received_date = '${dayOf(plan, run)}'`) },
    { name: 'p99_by_hour', sql: p99('') },
    {
      name: 'slowest_rank',
      sql: `SELECT step, argMax(rank, metrics['step_avg_ms']) AS slowest, max(metrics['step_avg_ms']) AS ms
FROM events
WHERE ${ofRun} AND name = 'train.step'
GROUP BY step
ORDER BY step`,
    },
  ];
}
