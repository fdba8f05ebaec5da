/**
 * `sluice quarantine`: what ClickHouse refuses for good, and what is told of damaged files. `list` shows
 * it, `replay` (quarantine-replay.ts) stores it after all, `drop` throws it away.
 */
import { readBatchId } from '../encode/segment-part.js';
import { CommandFailure } from './failure.js';
import type { ConfigFlags } from './flags.js';
import { settingsOf, shownUrl } from './settings.js';
import { listOfTexts, plural, type StorePlace, sameStore, shortError, storeRows } from './store-rows.js';
import { renderTable, type TableColumn } from './table.js';

/** Which rows of `quarantine`. */
export interface QuarantineSelection extends ConfigFlags {
  readonly batch?: string;
  readonly project?: string;
  readonly run?: string;
}

export interface QuarantineListFlags extends QuarantineSelection {
  readonly limit: number;
}

export interface QuarantineDropFlags extends QuarantineSelection {
  readonly all?: boolean;
}

const columns: readonly TableColumn[] = [
  { title: 'batch' },
  { title: 'project' },
  { title: 'run' },
  { title: 'producer' },
  { title: 'sequences', align: 'right' },
  { title: 'events', align: 'right' },
  { title: 'code', align: 'right' },
  { title: 'time (UTC)' },
  { title: 'error' },
];

const conditions = {
  batch: "(batch_id = {batch:String} OR startsWith(batch_id, concat({batch:String}, '.')))",
  project: 'project = {project:String}',
  run: 'run_id = {run:String}',
} as const;

/** Words of an error that stand in a line of a table; --json has all. */
const errorLength = 100;
/** Batches that one statement names: its text stays below what stores take. */
const batchesAtOnce = 1000;

/** WHERE and its parameters; empty for all rows. */
export function selectionOf(flags: QuarantineSelection): {
  where: string;
  parameters: Record<string, string>;
} {
  const names = (Object.keys(conditions) as (keyof typeof conditions)[]).filter(
    (name) => flags[name] !== undefined,
  );
  return {
    where: names.length === 0 ? '' : `WHERE ${names.map((name) => conditions[name]).join(' AND ')}`,
    parameters: Object.fromEntries(names.map((name) => [name, flags[name] as string])),
  };
}

/** Deletes rows by their batches. Resolves once they are gone. */
export async function deleteBatches(
  place: StorePlace,
  table: 'quarantine' | 'losses',
  receivedDate: string,
  batchIds: readonly string[],
): Promise<void> {
  const only = table === 'losses' ? "AND origin = 'store' AND reason = 'quarantined'" : '';
  for (let from = 0; from < batchIds.length; from += batchesAtOnce) {
    const batches = listOfTexts(batchIds.slice(from, from + batchesAtOnce));
    await storeRows(
      place,
      `ALTER TABLE ${table} DELETE WHERE received_date = ${listOfTexts([receivedDate])} ${only} AND batch_id IN (${batches}) SETTINGS mutations_sync = 1`,
    );
  }
}

export async function quarantineList(flags: QuarantineListFlags): Promise<void> {
  const { url, database } = settingsOf(flags).store;
  const place = { url, database };
  const { where, parameters } = selectionOf(flags);
  const [totals = []] = await storeRows(
    place,
    `SELECT toFloat64(count()), toFloat64(sum(events)), toFloat64(countIf(events = 0)) FROM quarantine ${where}`,
    parameters,
  );
  const [count = 0, events = 0, reports = 0] = totals.map(Number);
  const rows = await storeRows(
    place,
    `SELECT * FROM (
       SELECT toString(batch_id) AS batch, project, run_id, toString(producer_id) AS producer, toFloat64(first_sequence) AS first,
         toFloat64(last_sequence) AS last, toFloat64(events) AS kept, error_code, error, formatDateTime(time, '%F %T', 'UTC') AS at, time AS t
       FROM quarantine ${where} ORDER BY time DESC, producer DESC, first DESC LIMIT {limit:UInt32}
     ) ORDER BY t, producer, first`,
    { ...parameters, limit: String(flags.limit) },
  );
  if (flags.json === true) {
    for (const row of rows) process.stdout.write(`${JSON.stringify(toJson(row))}\n`);
    return;
  }
  if (rows.length === 0) {
    const here = `${shownUrl(url)}, database ${database}`;
    process.stdout.write(
      where === ''
        ? `Nothing is in quarantine in ${here}: ClickHouse took every event.\nOther losses, if any:\n  npx sluice losses${sameStore(flags)}\n`
        : `Nothing like that is in quarantine in ${here}.\nAll of it:\n  npx sluice quarantine list${sameStore(flags)}\n`,
    );
    return;
  }
  process.stdout.write(`${renderTable(columns, rows.map(toCells))}\n`);
  process.stdout.write(`${plural(events, 'event')} in ${plural(count - reports, 'row')}`);
  process.stdout.write(reports === 0 ? '\n' : `, and ${plural(reports, 'report')} of damaged files\n`);
  if (count > rows.length)
    process.stdout.write(`The newest ${rows.length} of ${count} are shown; --limit ${count} shows all.\n`);
  if (events > 0) {
    process.stdout.write(
      `When their cause is mended, such as a constraint dropped, store them:\n  npx sluice quarantine replay${sameStore(flags)}\n`,
    );
  }
}

function toCells(row: readonly unknown[]): string[] {
  const [batch, project, run, producer, first, last, kept, code, error, at] = row;
  const isReport = kept === 0;
  return [
    String(batch),
    String(project),
    String(run),
    isReport && /^[0-]*$/.test(String(producer)) ? '' : String(producer),
    first === last ? (first === 0 ? '' : String(first)) : `${first}–${last}`,
    String(kept),
    isReport ? '' : String(code),
    String(at),
    shortError(String(error), errorLength),
  ];
}

function toJson(row: readonly unknown[]): Record<string, unknown> {
  const [batch, project, run, producer, first, last, kept, code, error, at] = row;
  return {
    batch_id: batch,
    project,
    run_id: run,
    producer_id: producer,
    first_sequence: first,
    last_sequence: last,
    events: kept,
    error_code: code,
    error,
    time: `${String(at).replace(' ', 'T')}Z`,
  };
}

/** Throws rows away; the ledger keeps the record of their numbers. */
export async function quarantineDrop(flags: QuarantineDropFlags): Promise<void> {
  const { where, parameters } = selectionOf(flags);
  if (where === '' && flags.all !== true) {
    throw new CommandFailure(
      'sluice: drop throws events away for good, so say which: --batch ID, --run R, --project P, or --all.\n' +
        `See what is there:\n  npx sluice quarantine list${sameStore(flags)}`,
      2,
    );
  }
  if (flags.batch !== undefined && readBatchId(flags.batch) === undefined) {
    throw new CommandFailure(
      `sluice: ${flags.batch} is not a batch id, such as 0193c1de-5a00-7000-8000-000000000001.5-6.\n` +
        `See what is there:\n  npx sluice quarantine list${sameStore(flags)}`,
      2,
    );
  }
  const { url, database } = settingsOf(flags).store;
  const place = { url, database };
  const rows = await storeRows(
    place,
    `SELECT toString(batch_id), toString(received_date), toFloat64(sum(events)), any(run_id), any(error) FROM quarantine ${where}
     GROUP BY batch_id, received_date ORDER BY 1`,
    parameters,
  );
  if (rows.length === 0) {
    process.stdout.write(
      `Nothing like that is in quarantine; nothing was dropped.\nSee what is there:\n  npx sluice quarantine list${sameStore(flags)}\n`,
    );
    return;
  }
  const byDay = new Map<string, string[]>();
  for (const [batch, day] of rows) {
    const batches = byDay.get(String(day)) ?? [];
    batches.push(String(batch));
    byDay.set(String(day), batches);
  }
  for (const [day, batches] of byDay) await deleteBatches(place, 'quarantine', day, batches);
  for (const [batch, , events, run, error] of rows) {
    process.stdout.write(
      `dropped ${batch}: ${plural(Number(events), 'event')} of run ${run}: ${shortError(String(error), errorLength)}\n`,
    );
  }
  const events = rows.reduce((sum, row) => sum + Number(row[2]), 0);
  process.stdout.write(
    `${plural(events, 'event')} in ${plural(rows.length, 'batch').replace(/batchs$/, 'batches')} dropped; the ledger keeps their numbers:\n  npx sluice losses --reason quarantined${sameStore(flags)}\n`,
  );
}
