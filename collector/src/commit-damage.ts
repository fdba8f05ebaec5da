/**
 * Tells SQL of a segment whose file cannot be read in full: rows of `losses` for the acknowledged numbers
 * that are known to be in it, then one row of `quarantine` for the file. They come before the segment's
 * events: a batch that is in `events` without such a row was sound when it was stored.
 */
import { insertRows } from './commit-rows.js';
import { damageLossRows, damageReportRow, type ProducerKey } from './encode/damage-rows.js';
import { damageBatchId } from './encode/segment-part.js';
import type { Damage, Refusal } from './record.js';
import type { BatchInserter } from './store/batch-inserter.js';
import { askForProducers } from './store/earlier-work.js';
import type { SealedSegment } from './wal/log.js';

export interface DamageReport {
  readonly damage: Damage;
  /** Producers that the segment names. */
  readonly producers: ReadonlyMap<string, ProducerKey>;
  /** Ids of the others. */
  readonly strangers: readonly string[];
}

export type DamageOutcome =
  | { readonly kind: 'reported' }
  | { readonly kind: 'refused'; readonly table: string; readonly refusal: Refusal }
  | { readonly kind: 'stopped' };

export async function reportDamage(
  inserter: BatchInserter,
  sealed: SealedSegment,
  { damage, producers, strangers }: DamageReport,
  batchId = damageBatchId(sealed.id),
): Promise<DamageOutcome> {
  const found = await askForProducers(inserter, strangers);
  if (found === undefined) return { kind: 'stopped' };
  const all = new Map([...found, ...producers]);
  for (const [table, rows] of [
    ['losses', damageLossRows(sealed.id, damage, all)],
    ['quarantine', [damageReportRow(sealed.id, damage, all, batchId)]],
  ] as const) {
    const outcome = await insertRows(inserter, sealed, {
      table,
      batchId,
      token: `${batchId}-${table}`,
      rows,
      inDoubt: sealed.recovered,
    });
    if (outcome.kind === 'stopped') return outcome;
    if (outcome.kind === 'refused') return { kind: 'refused', table, refusal: outcome };
  }
  return { kind: 'reported' };
}
