/** What the ledger's other tables must say: `losses` by reason, `producers`, `sequence_gaps`, `quarantine`. */
import type { StoreClient } from '../store-client.js';
import type { ProducerAccount } from './account.js';
import { expectedProducers } from './expected-producers.js';

/** Who may have written a loss: by default only an SDK, for nothing here is rejected or refused. */
export type LossOrigin = 'sdk' | 'collector' | 'store';

export async function checkLedger(
  store: StoreClient,
  accounts: readonly ProducerAccount[],
  origins: readonly LossOrigin[],
): Promise<string[]> {
  return [
    ...(await checkReasons(store, accounts, origins)),
    ...(await checkOrigins(store, origins)),
    ...(await checkLossRows(store)),
    ...(await checkProducers(store)),
    ...(await checkGaps(store)),
    ...(await checkBatches(store)),
    ...(await checkCalls(store)),
  ];
}

/**
 * The drops that an SDK counted are the losses in the table, reason by reason; fewer only where the
 * collector may tell the same numbers as its own loss, because the log that held them was damaged.
 */
async function checkReasons(
  store: StoreClient,
  accounts: readonly ProducerAccount[],
  origins: readonly LossOrigin[],
): Promise<string[]> {
  const rows = await store.rows<{ producer: string; reason: string; numbers: number }>(`
    SELECT toString(producer_id) AS producer, reason, sum(last_sequence - first_sequence + 1) AS numbers
    FROM losses WHERE origin = 'sdk' GROUP BY producer_id, reason`);
  const inTable = new Map(rows.map(({ producer, reason, numbers }) => [`${producer} ${reason}`, numbers]));
  const violations: string[] = [];
  for (const { producerId, final } of accounts) {
    if (final === undefined) continue;
    for (const [reason, dropped] of Object.entries(final.dropped)) {
      const found = inTable.get(`${producerId} ${reason}`) ?? 0;
      if (found > dropped || (found < dropped && !origins.includes('collector'))) {
        violations.push(
          `producer ${producerId}: its SDK dropped ${dropped} (${reason}), losses has ${found}`,
        );
      }
    }
  }
  return violations;
}

async function checkOrigins(store: StoreClient, origins: readonly LossOrigin[]): Promise<string[]> {
  const rows = await store.rows<{ origin: string; reason: string; detail: string; numbers: number }>(`
    SELECT origin, reason, any(detail) AS detail, sum(last_sequence - first_sequence + 1) AS numbers
    FROM losses GROUP BY origin, reason`);
  return rows
    .filter(({ origin }) => !(origins as readonly string[]).includes(origin))
    .map(
      ({ origin, reason, detail, numbers }) =>
        `${numbers} numbers are lost by ${origin} (${reason}: ${detail}), which nothing here should cause`,
    );
}

/** A loss names its producer as an event does, and lies in its batch's partition. */
async function checkLossRows(store: StoreClient): Promise<string[]> {
  const { wrong } = await store.row<{ wrong: number }>(`
    SELECT countIf(NOT (l.project = p.project AND l.run_id = p.run_id AND l.rank = p.rank
      AND l.first_sequence > 0 AND l.first_sequence <= l.last_sequence
      AND l.received_date = toDate(UUIDv7ToDateTime(toUUIDOrZero(substring(l.batch_id, 1, 36)), 'UTC')))) AS wrong
    FROM losses AS l INNER JOIN ${expectedProducers} AS p ON p.producer_id = l.producer_id`);
  return wrong === 0 ? [] : [`${wrong} rows of losses differ from what their producer or their batch is`];
}

/** Whoever sees an event can look up its producer. */
async function checkProducers(store: StoreClient): Promise<string[]> {
  const { missing } = await store.row<{ missing: number }>(`
    SELECT count() AS missing FROM
    (
      SELECT p.producer_id FROM ${expectedProducers} AS p
      LEFT JOIN (SELECT * FROM producers FINAL) AS t ON t.producer_id = p.producer_id
      WHERE p.producer_id IN (SELECT producer_id FROM events)
        AND NOT (t.project = p.project AND t.run_id = p.run_id AND t.rank = p.rank AND t.job = p.job
          AND t.host = p.host AND t.attempt = p.attempt)
    )`);
  return missing === 0 ? [] : [`${missing} producers have events and no right row in producers`];
}

async function checkGaps(store: StoreClient): Promise<string[]> {
  const rows = await store.rows<{ producer: string; first_sequence: number; last_sequence: number }>(
    'SELECT toString(producer_id) AS producer, first_sequence, last_sequence FROM sequence_gaps LIMIT 5',
  );
  return rows.map(
    ({ producer, first_sequence, last_sequence }) =>
      `sequence_gaps is not empty: ${first_sequence} to ${last_sequence} of producer ${producer}`,
  );
}

/** A batch is one INSERT into one partition. */
async function checkBatches(store: StoreClient): Promise<string[]> {
  const rows = await store.rows<{ batch_id: string; dates: number }>(`
    SELECT batch_id, uniqExact(received_date) AS dates FROM events GROUP BY batch_id HAVING dates > 1 LIMIT 5`);
  return rows.map(
    ({ batch_id, dates }) => `batch ${batch_id} lies in ${dates} partitions; it must lie in one`,
  );
}

/** Of producers that count their calls: events keep their order, and no call is there under two numbers. */
async function checkCalls(store: StoreClient): Promise<string[]> {
  const rows = await store.rows<{ producer: string; wrong: number; first: number }>(`
    SELECT toString(producer_id) AS producer, count() AS wrong, min(sequence) AS first FROM
    (
      SELECT producer_id, sequence, toUInt64(metrics['call']) AS call,
        lagInFrame(call) OVER (PARTITION BY producer_id ORDER BY sequence ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
      FROM events
      WHERE producer_id IN (SELECT producer_id FROM ${expectedProducers} WHERE counts_calls)
    )
    WHERE call <= before
    GROUP BY producer_id LIMIT 5`);
  return rows.map(
    ({ producer, wrong, first }) =>
      `${wrong} events of producer ${producer} are calls that were there before, or out of order, from ${first} on`,
  );
}
