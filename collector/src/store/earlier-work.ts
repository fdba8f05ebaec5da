/**
 * What is in the tables of a segment already. Batch ids say it: the segment's own, or one with a suffix
 * for a part of it or for a report about its file.
 */
import type { Refusal } from '../record.js';
import type { BatchInserter } from './batch-inserter.js';

export interface EarlierWork {
  /** Batch ids of the segment in `events`. */
  readonly events: ReadonlySet<string>;
  /** Batch ids in `quarantine`, and why. */
  readonly quarantine: ReadonlyMap<string, Refusal>;
  /** Batch ids of rows in `losses` that the store's refusal caused. */
  readonly losses: ReadonlySet<string>;
}

export const nothingDone: EarlierWork = { events: new Set(), quarantine: new Map(), losses: new Set() };

/** One question, asked until it is answered; nothing if the process stops first. */
export async function earlierWork(
  inserter: BatchInserter,
  segment: { readonly id: string; readonly receivedDate: string },
): Promise<EarlierWork | undefined> {
  const where =
    "received_date = {date:Date} AND (batch_id = {id:String} OR startsWith(batch_id, concat({id:String}, '.')))";
  const rows = await inserter.ask<[string, string, number, string]>({
    query: `SELECT DISTINCT 'events' AS place, toString(batch_id) AS batch, toInt32(0) AS code, '' AS error FROM events WHERE ${where}
UNION ALL SELECT DISTINCT 'quarantine', toString(batch_id), error_code, substringUTF8(error, 1, 1000) FROM quarantine WHERE ${where}
UNION ALL SELECT DISTINCT 'losses', toString(batch_id), toInt32(0), '' FROM losses WHERE ${where} AND origin = 'store'
FORMAT JSONCompactEachRow`,
    parameters: { date: segment.receivedDate, id: segment.id },
    about: 'what an earlier start did of a segment',
  });
  if (rows === undefined) return undefined;
  const events = new Set<string>();
  const quarantine = new Map<string, Refusal>();
  const losses = new Set<string>();
  for (const [place, batch, code, message] of rows) {
    if (place === 'events') events.add(batch);
    else if (place === 'losses') losses.add(batch);
    else quarantine.set(batch, { code, message });
  }
  return { events, quarantine, losses };
}

/** Who producers are, from the table; those that it does not know are left out. Nothing if the process stops. */
export async function askForProducers(
  inserter: BatchInserter,
  ids: readonly string[],
): Promise<Map<string, { project: string; runId: string; rank: number }> | undefined> {
  const found = new Map<string, { project: string; runId: string; rank: number }>();
  if (ids.length === 0) return found;
  const rows = await inserter.ask<[string, string, string, number]>({
    query: `SELECT toString(producer_id), project, run_id, rank FROM producers WHERE producer_id IN {ids:Array(UUID)}
LIMIT 1 BY producer_id FORMAT JSONCompactEachRow`,
    parameters: { ids: `[${ids.map((id) => `'${id}'`).join(',')}]` },
    about: 'whose events a damaged segment held',
  });
  if (rows === undefined) return undefined;
  for (const [id, project, runId, rank] of rows) found.set(id, { project, runId, rank });
  return found;
}
