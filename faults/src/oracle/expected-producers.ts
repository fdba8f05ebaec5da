/** Tells the store which producers there were, in a table of the oracle's own, so that it can check rows by itself. */
import type { StoreClient } from '../store-client.js';
import type { ProducerAccount } from './account.js';

export const expectedProducers = 'sluice_oracle.producers';

export async function writeExpectedProducers(
  store: StoreClient,
  accounts: readonly ProducerAccount[],
): Promise<void> {
  await store.sql('CREATE DATABASE IF NOT EXISTS sluice_oracle');
  await store.sql(`DROP TABLE IF EXISTS ${expectedProducers} SYNC`);
  await store.sql(`CREATE TABLE ${expectedProducers} (
    producer_id UUID, project String, run_id String, rank UInt32, job String, host String, attempt UInt16,
    pad_bytes UInt32, loss_every UInt64, is_plain UInt8, counts_calls UInt8, acknowledged_through UInt64
  ) ENGINE = MergeTree ORDER BY producer_id`);
  const rowsPerInsert = 10_000;
  for (let from = 0; from < accounts.length; from += rowsPerInsert) {
    const lines = accounts.slice(from, from + rowsPerInsert).map((account) =>
      JSON.stringify({
        producer_id: account.producerId,
        project: account.project,
        run_id: account.run,
        rank: account.rank,
        job: account.job,
        host: account.host,
        attempt: account.attempt,
        pad_bytes: account.padBytes,
        loss_every: account.lossEvery,
        is_plain: Number(account.isPlain === true),
        counts_calls: Number(account.countsCalls === true),
        acknowledged_through: account.acknowledgedThrough,
      }),
    );
    await store.sql(`INSERT INTO ${expectedProducers} FORMAT JSONEachRow`, `${lines.join('\n')}\n`);
  }
}
