/**
 * Lost and doubled numbers, counted inside the store. Numbers are kept in bitmaps (dense ranges cost
 * next to nothing), so that tens of millions of rows need no more than a few megabytes of memory.
 */
import type { StoreClient } from '../store-client.js';
import { expectedProducers } from './expected-producers.js';

export interface Conservation {
  readonly stored: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly violations: readonly string[];
  /** Rows of `events`, by producer. */
  readonly storedOf: ReadonlyMap<string, number>;
  /** The largest number that is an event or a loss, by producer. */
  readonly highestOf: ReadonlyMap<string, number>;
}

interface ProducerRow {
  readonly producer: string;
  readonly known: number;
  readonly acked: number;
  readonly stored: number;
  readonly events: number;
  readonly loss_numbers: number;
  readonly losses: number;
  readonly covered: number;
  readonly covered_acked: number;
  readonly highest: number;
}

/** Numbers of producers, each with what it is; a range of losses becomes its numbers. */
const numbers = `
  SELECT producer_id, sequence, 1 AS is_event FROM events
  UNION ALL
  SELECT producer_id, arrayJoin(range(first_sequence, last_sequence + 1)) AS sequence, 0 AS is_event FROM losses`;

const byProducer = `
  SELECT
    toString(n.producer_id) AS producer,
    toUInt8(p.rank_known) AS known,
    p.acked AS acked,
    n.stored AS stored, n.events AS events, n.loss_numbers AS loss_numbers, n.losses AS losses,
    bitmapCardinality(n.numbers) AS covered,
    bitmapCardinality(bitmapSubsetInRange(n.numbers, toUInt64(1), toUInt64(p.acked + 1))) AS covered_acked,
    n.highest AS highest
  FROM
  (
    SELECT
      producer_id,
      countIf(is_event = 1) AS stored,
      countIf(is_event = 0) AS loss_numbers,
      groupBitmapIf(sequence, is_event = 1) AS events,
      groupBitmapIf(sequence, is_event = 0) AS losses,
      groupBitmapState(sequence) AS numbers,
      max(sequence) AS highest
    FROM (${numbers})
    GROUP BY producer_id
  ) AS n
  LEFT JOIN
  (
    SELECT producer_id, acknowledged_through AS acked, 1 AS rank_known FROM ${expectedProducers}
  ) AS p ON p.producer_id = n.producer_id`;

export async function checkConservation(store: StoreClient): Promise<Conservation> {
  const rows = await store.rows<ProducerRow>(byProducer);
  const absent = await store.rows<{ producer: string; acked: number }>(`
    SELECT toString(producer_id) AS producer, acknowledged_through AS acked FROM ${expectedProducers}
    WHERE acknowledged_through > 0
      AND producer_id NOT IN (SELECT producer_id FROM events UNION DISTINCT SELECT producer_id FROM losses)`);
  const violations: string[] = [];
  const incomplete: string[] = [];
  const doubled: string[] = [];
  let stored = 0;
  let lost = 0;
  let duplicated = 0;
  for (const row of rows) {
    stored += row.stored;
    const missing = row.acked - row.covered_acked;
    const both = row.events + row.losses - row.covered;
    const holes = row.highest - row.covered;
    lost += missing;
    duplicated += row.stored - row.events + both;
    if (row.stored > row.events) doubled.push(row.producer);
    if (missing > 0 || holes > 0) incomplete.push(row.producer);
    const violate = (text: string): void => void violations.push(`producer ${row.producer}: ${text}`);
    if (row.known === 0)
      violate(`${row.stored} events and ${row.losses} losses of a producer that never was`);
    if (missing > 0)
      violate(`${missing} of ${row.acked} acknowledged numbers are neither in events nor in losses`);
    if (holes > 0) violate(`${holes} numbers below ${row.highest} are neither an event nor a loss`);
    if (row.stored > row.events) violate(`${row.stored - row.events} events are there more than once`);
    if (both > 0) violate(`${both} numbers are an event and a loss`);
    if (row.loss_numbers > row.losses) violate(`losses overlap in ${row.loss_numbers - row.losses} numbers`);
  }
  for (const { producer, acked } of absent) {
    lost += acked;
    violations.push(`producer ${producer}: nothing of ${acked} acknowledged numbers is there`);
  }
  violations.push(...(await exampleHoles(store, incomplete)), ...(await exampleDoubles(store, doubled)));
  return {
    stored,
    lost,
    duplicated,
    violations,
    storedOf: new Map(rows.map((row) => [row.producer, row.stored])),
    highestOf: new Map(rows.map((row) => [row.producer, row.highest])),
  };
}

const examples = 5;

function listOf(producers: readonly string[]): string {
  return producers
    .slice(0, examples)
    .map((producer) => `toUUID('${producer}')`)
    .join(', ');
}

async function exampleHoles(store: StoreClient, producers: readonly string[]): Promise<string[]> {
  if (producers.length === 0) return [];
  const rows = await store.rows<{ producer: string; first: number; last: number; batch: string }>(`
    SELECT toString(producer_id) AS producer, reached + 1 AS first, next - 1 AS last, batch FROM
    (
      SELECT producer_id, first AS next, batch_id AS batch,
        max(last) OVER (PARTITION BY producer_id ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
      FROM
      (
        SELECT producer_id, sequence AS first, sequence AS last, batch_id FROM events
        UNION ALL SELECT producer_id, first_sequence, last_sequence, batch_id FROM losses
        UNION ALL SELECT producer_id, acknowledged_through + 1, acknowledged_through + 1, 'the last acknowledged' FROM ${expectedProducers}
      )
      WHERE producer_id IN (${listOf(producers)})
    )
    WHERE next > reached + 1
    ORDER BY producer_id, reached LIMIT ${examples}`);
  return rows.map(
    ({ producer, first, last, batch }) =>
      `missing: ${first} to ${last} of producer ${producer}, before batch ${batch}`,
  );
}

async function exampleDoubles(store: StoreClient, producers: readonly string[]): Promise<string[]> {
  if (producers.length === 0) return [];
  const rows = await store.rows<{ producer: string; sequence: number; batches: string[] }>(`
    SELECT toString(producer_id) AS producer, sequence, groupArray(batch_id) AS batches FROM events
    WHERE producer_id IN (${listOf(producers)})
    GROUP BY producer_id, sequence HAVING count() > 1 ORDER BY producer_id, sequence LIMIT ${examples}`);
  return rows.map(
    ({ producer, sequence, batches }) =>
      `doubled: ${sequence} of producer ${producer} in batches ${batches.join(', ')}`,
  );
}
