/** Inserts the few rows that a segment brings besides its events. */
import { jsonEachRow, type LedgerRow, ledgerColumns, receivedDate } from './encode/ledger-rows.js';
import type { BatchInserter, InsertOutcome } from './store/batch-inserter.js';
import type { SealedSegment } from './wal/log.js';

export interface LedgerBatch {
  readonly table: 'producers' | 'losses' | 'quarantine';
  /** That one of the rows at least carries: what the table is asked for in doubt. */
  readonly batchId: string;
  readonly token: string;
  readonly rows: readonly LedgerRow[];
  /** An earlier process may have inserted them. */
  readonly inDoubt: boolean;
}

export async function insertRows(
  inserter: BatchInserter,
  sealed: SealedSegment,
  { rows, ...batch }: LedgerBatch,
): Promise<InsertOutcome> {
  const [first] = rows;
  if (first === undefined) return { kind: 'stored', tries: 0, foundCommitted: false };
  return inserter.insert({
    ...batch,
    format: 'JSONEachRow',
    columns: ledgerColumns(first),
    receivedDate: receivedDate(sealed.id),
    rows: rows.length,
    body: jsonEachRow(rows),
    idempotent: batch.table === 'producers',
  });
}
