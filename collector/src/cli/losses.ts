/** `sluice losses`: every sequence number that is not an event, with its reason; the newest last. */
import type { ConfigFlags } from './flags.js';
import { settingsOf, shownUrl } from './settings.js';
import { plural, sameStore, shortError, storeRows } from './store-rows.js';
import { renderTable, type TableColumn } from './table.js';

export interface LossesFlags extends ConfigFlags {
  readonly project?: string;
  readonly run?: string;
  readonly producer?: string;
  readonly reason?: string;
  readonly origin?: string;
  readonly limit: number;
}

const columns: readonly TableColumn[] = [
  { title: 'project' },
  { title: 'run' },
  { title: 'rank', align: 'right' },
  { title: 'producer' },
  { title: 'sequences', align: 'right' },
  { title: 'count', align: 'right' },
  { title: 'origin' },
  { title: 'reason' },
  { title: 'time (UTC)' },
  { title: 'detail' },
];

const conditions = {
  project: 'project = {project:String}',
  run: 'run_id = {run:String}',
  // The beginning of an id is enough, as in other tools.
  producer: 'startsWith(toString(producer_id), lower({producer:String}))',
  reason: 'reason = {reason:String}',
  origin: 'origin = {origin:String}',
} as const;

/** Words of a detail that stand in a line of a table; --json has all. */
const detailLength = 80;

export async function losses(flags: LossesFlags): Promise<void> {
  const { url, database } = settingsOf(flags).store;
  const place = { url, database };
  const names = (Object.keys(conditions) as (keyof typeof conditions)[]).filter(
    (name) => flags[name] !== undefined,
  );
  const where = names.length === 0 ? '' : `WHERE ${names.map((name) => conditions[name]).join(' AND ')}`;
  const parameters = Object.fromEntries(names.map((name) => [name, flags[name] as string]));
  const summary = await storeRows(
    place,
    `SELECT reason, toString(origin), toFloat64(count()), toFloat64(sum(last_sequence - first_sequence + 1)) FROM losses ${where}
     GROUP BY reason, origin ORDER BY 4 DESC, reason, origin`,
    parameters,
  );
  const rows = await storeRows(
    place,
    `SELECT * FROM (
       SELECT project, run_id, rank, toString(producer_id) AS producer, toFloat64(first_sequence) AS first, toFloat64(last_sequence) AS last,
         origin, reason, formatDateTime(time, '%F %T', 'UTC') AS at, detail, toString(batch_id) AS batch, time AS t
       FROM losses ${where} ORDER BY time DESC, producer DESC, first DESC LIMIT {limit:UInt32}
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
      names.length === 0
        ? `No losses in ${here}: every event that came through is stored, or on its way.\nSee the runs:\n  npx sluice runs${sameStore(flags)}\n`
        : `No losses like that in ${here}.\nAll of them:\n  npx sluice losses${sameStore(flags)}\n`,
    );
    return;
  }
  process.stdout.write(renderTable(columns, rows.map(toCells)));
  process.stdout.write(`\n${summarize(summary, rows.length)}`);
  if (summary.some(([reason]) => reason === 'quarantined')) {
    process.stdout.write(
      `What ClickHouse refused is kept, unless it was dropped:\n  npx sluice quarantine list${sameStore(flags)}\n`,
    );
  }
}

function toCells(row: readonly unknown[]): string[] {
  const [project, run, rank, producer, first, last, origin, reason, at, detail] = row;
  return [
    String(project),
    String(run),
    String(rank),
    String(producer),
    first === last ? String(first) : `${first}–${last}`,
    String(Number(last) - Number(first) + 1),
    String(origin),
    String(reason),
    String(at),
    shortError(String(detail), detailLength),
  ];
}

function toJson(row: readonly unknown[]): Record<string, unknown> {
  const [project, run, rank, producer, first, last, origin, reason, at, detail, batch] = row;
  return {
    project,
    run_id: run,
    rank,
    producer_id: producer,
    first_sequence: first,
    last_sequence: last,
    count: Number(last) - Number(first) + 1,
    origin,
    reason,
    detail,
    time: `${String(at).replace(' ', 'T')}Z`,
    batch_id: batch,
  };
}

function summarize(summary: readonly (readonly unknown[])[], shown: number): string {
  const rows = summary.reduce((sum, [, , count]) => sum + Number(count), 0);
  const events = summary.reduce((sum, [, , , lost]) => sum + Number(lost), 0);
  const reasons = summary.map(([reason, origin, , lost]) => `${lost} ${reason} (${origin})`).join(', ');
  const more =
    rows > shown
      ? `The newest ${shown} of ${plural(rows, 'row')} are shown; --limit ${rows} shows all.\n`
      : '';
  return `${plural(events, 'event')} lost: ${reasons}\n${more}`;
}
