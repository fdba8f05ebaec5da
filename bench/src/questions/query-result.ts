/** The keys and the table of `query`. Pure. */
import { mib, round } from '../measure/figures.js';
import { median } from '../measure/percentiles.js';
import { columns, grouped } from '../table.js';
import type { StorePlan } from '../workload/stored-events.js';
import type { Query } from './query-list.js';

export interface QueryMeasurements extends Query {
  readonly coldMs: number;
  readonly warmMs: readonly number[];
  readonly resultRows: number;
  readonly rowsRead: number;
  readonly bytesRead: number;
}

export type QueryResult = ReturnType<typeof queryResult>;

export function queryResult(measured: {
  plan: StorePlan;
  rows: number;
  fillMs: number;
  parts: number;
  mergesSettled: boolean;
  queries: readonly QueryMeasurements[];
}) {
  const { plan } = measured;
  return {
    question: 'query' as const,
    rows: measured.rows,
    runs: plan.runs,
    ranks: plan.ranks,
    days: plan.days,
    fill: { way: 'INSERT SELECT', seconds: round(measured.fillMs / 1000, 1) },
    merged: 'waited, no OPTIMIZE',
    merges_settled: measured.mergesSettled,
    parts_active: measured.parts,
    queries: measured.queries.map((query) => ({
      name: query.name,
      median_ms: round(median(query.warmMs), 1),
      worst_ms: round(Math.max(...query.warmMs), 1),
      cold_ms: round(query.coldMs, 1),
      repeats: query.warmMs.length,
      result_rows: query.resultRows,
      rows_read: query.rowsRead,
      mib_read: mib(query.bytesRead),
      sql: query.sql,
    })),
  };
}

export function queryProblem(
  plan: StorePlan,
  rows: number,
  queries: readonly QueryMeasurements[],
): string | undefined {
  if (rows !== plan.rows) return `the store holds ${rows} rows of ${plan.rows}`;
  const empty = queries.find(({ resultRows }) => resultRows === 0);
  return empty && `${empty.name} found nothing`;
}

export function queryTable({ queries, rows, parts_active }: QueryResult): string {
  const table = columns(
    ['query', 'median ms', 'worst ms', 'cold ms', 'rows', 'rows read', 'MiB read'],
    queries.map((one) => [
      one.name,
      one.median_ms.toFixed(1),
      one.worst_ms.toFixed(1),
      one.cold_ms.toFixed(1),
      grouped(one.result_rows),
      grouped(one.rows_read),
      one.mib_read.toFixed(1),
    ]),
  );
  return `${grouped(rows)} rows in ${grouped(parts_active)} parts\n\n${table}`;
}
