/**
 * Question: how long do the questions take that people ask a store of many events?
 *
 * Hypothesis: what one run logged is found through the sorting key: a loss curve, the last errors and the slowest rank
 * read that run's rows and take tens of milliseconds, whatever else the store holds. A p99 by hour over all runs reads
 * one name's rows of each run, and grows with them.
 *
 * Method: the embedded store alone in its process. It is filled inside itself, by INSERT … SELECT, two at a time, each
 * 125,000 rows of one run in the order of the sorting key, as a full segment is: 50 million rows are 100 runs over 10
 * days (`received_date`, the partitions), each of 8 ranks that log five names and some text (stored-events.ts). That is
 * not the way of an event, but leaves the same rows in parts of the same size. Then the merges that the store wants are
 * waited for; nothing is forced (no OPTIMIZE), and how many parts there are is reported. The store is stopped and
 * started again, so that its own caches are empty; the system's page cache is not. Each query then runs once
 * (`cold_ms`), then at least 7 times, up to 50 times as long as --seconds allow: `median_ms`, `worst_ms`. The time is
 * that of a client: from sending the statement over HTTP until the whole answer in JSON is there. Rows and bytes read
 * are the engine's own count.
 */
import { join } from 'node:path';
import { monotonicMs, sleep } from '../measure/clock.js';
import { mergeStateQuery, parseMergeState, settle } from '../measure/settle.js';
import { type Answer, given, type Options, type Question } from '../question.js';
import type { BenchRun } from '../run/bench-run.js';
import { fillStore } from '../run/fill-store.js';
import { startStore } from '../run/parts.js';
import { activePartsQuery, sql } from '../run/store-sql.js';
import { planStore } from '../workload/stored-events.js';
import { type Query, queriesOf } from './query-list.js';
import { type QueryMeasurements, queryProblem, queryResult, queryTable } from './query-result.js';

const runsOfQuery = { least: 7, most: 50 };
/** Merges of so many rows take longer than those of a load. */
const settling = { quietMs: 3000, deadlineMs: 180_000, intervalMs: 500 };
const slowestFillRowsPerSecond = 50_000;

export const query: Question = {
  name: 'query',
  asks: 'how long loss curves, errors, percentiles and slow ranks take in a store of many events',
  defaults: { rows: 50_000_000, seconds: 10 },
  takesProfile: false,
  deadlineMs: (options) =>
    600_000 + (given(options, 'rows') / slowestFillRowsPerSecond + 5 * given(options, 'seconds')) * 1000,
  ask,
};

async function ask(options: Options, run: BenchRun): Promise<Answer> {
  const plan = planStore(given(options, 'rows'));
  const directory = join(run.directory, 'parts');
  run.step('starting the store');
  const filled = await startStore(run, directory);
  const fillMs = await fillStore(filled.storeUrl, plan, (text) => run.step(text));
  run.step('waiting for merges');
  const look = async () => parseMergeState(await sql(filled.storeUrl, mergeStateQuery));
  const { settled } = await settle(look, { nowMs: monotonicMs, sleep }, settling);
  run.step('starting the store again');
  await filled.store.stop();
  const { store, storeUrl } = await startStore(run, directory);
  const rows = Number(await sql(storeUrl, 'SELECT count() FROM events'));
  const parts = Number(await sql(storeUrl, activePartsQuery));
  const engineVersion = (await sql(storeUrl, 'SELECT version()')).trim();

  const queries: QueryMeasurements[] = [];
  for (const one of queriesOf(plan)) {
    run.step(`${one.name}:\n${one.sql}`);
    queries.push(await measureQuery(storeUrl, one, given(options, 'seconds')));
  }
  await store.stop();
  const result = queryResult({ plan, rows, fillMs, parts, mergesSettled: settled, queries });
  return { result, table: queryTable(result), engineVersion, problem: queryProblem(plan, rows, queries) };
}

/** Once cold, then at least so many times. */
export async function measureQuery(
  storeUrl: string,
  query: Query,
  seconds: number,
): Promise<QueryMeasurements> {
  const tookMs: number[] = [];
  let answer = '';
  const untilMs = monotonicMs() + seconds * 1000;
  while (
    tookMs.length < 1 + runsOfQuery.least ||
    (tookMs.length < 1 + runsOfQuery.most && monotonicMs() < untilMs)
  ) {
    const startMs = monotonicMs();
    answer = await sql(storeUrl, `${query.sql} FORMAT JSONCompact`);
    tookMs.push(monotonicMs() - startMs);
  }
  const { rows, statistics } = JSON.parse(answer) as {
    rows: number;
    statistics: { rows_read: number; bytes_read: number };
  };
  const [coldMs, ...warmMs] = tookMs;
  return {
    ...query,
    coldMs: coldMs!,
    warmMs,
    resultRows: rows,
    rowsRead: statistics.rows_read,
    bytesRead: statistics.bytes_read,
  };
}
