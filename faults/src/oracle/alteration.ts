/** Rows whose fields are not what their producer logged, counted and named inside the store. */
import type { StoreClient } from '../store-client.js';
import { expectedProducers } from './expected-producers.js';
import { columnChecks } from './formula-sql.js';

export interface Alteration {
  readonly altered: number;
  readonly violations: readonly string[];
}

const joined = `events AS e INNER JOIN ${expectedProducers} AS p ON e.producer_id = p.producer_id`;
const isRight = columnChecks.map(([, condition]) => `(${condition})`).join(' AND ');

export async function checkAlteration(store: StoreClient): Promise<Alteration> {
  const { altered } = await store.row<{ altered: number }>(
    `SELECT countIf(NOT (${isRight})) AS altered FROM ${joined}`,
  );
  if (altered === 0) return { altered, violations: [] };
  // Which columns, only now: on a sound table one condition a row is enough.
  const counts = await store.row<Record<string, number>>(
    `SELECT ${columnChecks.map(([column, condition]) => `countIf(NOT (${condition})) AS wrong_${column}`).join(', ')} FROM ${joined}`,
  );
  const rows = await store.rows<{ producer: string; sequence: number; batch: string; row: string }>(`
    SELECT toString(e.producer_id) AS producer, e.sequence AS sequence, e.batch_id AS batch,
      toString(tuple(e.name, e.rank, e.time, e.step, e.severity_number, e.body, e.metrics, e.attributes, e.received_date)) AS row
    FROM ${joined} WHERE NOT (${isRight}) LIMIT 5`);
  return {
    altered,
    violations: [
      ...columnChecks
        .filter(([column]) => (counts[`wrong_${column}`] ?? 0) > 0)
        .map(([column]) => `altered: column ${column} of ${counts[`wrong_${column}`]} rows`),
      ...rows.map(
        ({ producer, sequence, batch, row }) =>
          `altered: ${sequence} of producer ${producer} in batch ${batch}: ${row.slice(0, 400)}`,
      ),
    ],
  };
}
