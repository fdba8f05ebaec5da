/** The rows that tell of a segment whose file cannot be read in full. */
import type { Damage, DamagedRange, SegmentContents } from '../record.js';
import { formatUuid, uuidTimeMs } from '../uuid7.js';
import { type LedgerRow, nanoOf, receivedDate } from './ledger-rows.js';
import { damageBatchId } from './segment-part.js';

/** What the ledger says of a producer besides its id. */
export interface ProducerKey {
  readonly project: string;
  readonly runId: string;
  readonly rank: number;
}

const nobody = { id: '00000000-0000-0000-0000-000000000000', project: '', runId: '', rank: 0 };

/** Producers of the damaged ranges that the segment itself does not name. */
export function strangersOf(segment: SegmentContents, damage: Damage): string[] {
  const named = new Set(segment.producers.map(({ id }) => formatUuid(id)));
  return [...new Set(damage.ranges.map(({ producerId }) => formatUuid(producerId)))].filter(
    (id) => !named.has(id),
  );
}

/** What the segment says of the producers in its damaged ranges, by id. */
export function namedProducers(segment: SegmentContents): Map<string, ProducerKey> {
  return new Map(
    segment.producers.map(({ id, project, runId, rank }) => [formatUuid(id), { project, runId, rank }]),
  );
}

/** Rows of `losses`: one for each range of acknowledged numbers that the file cannot give back. */
export function damageLossRows(
  segmentId: string,
  damage: Damage,
  producers: ReadonlyMap<string, ProducerKey>,
): LedgerRow[] {
  return damage.ranges.map((range) => {
    const { id, project, runId, rank } = producerOf(range, producers);
    return {
      values: {
        project,
        run_id: runId,
        producer_id: id,
        rank,
        received_date: receivedDate(segmentId),
        batch_id: damageBatchId(segmentId),
        first_sequence: String(range.firstSequence),
        last_sequence: String(range.lastSequence),
        origin: 'collector',
        reason: 'damaged',
        detail: reportOf(segmentId, damage),
      },
      nano: { column: 'time', value: nanoOf(uuidTimeMs(segmentId)) },
    };
  });
}

/** The row of `quarantine` for the file itself, which is there even if nobody knows what it held. */
export function damageReportRow(
  segmentId: string,
  damage: Damage,
  producers: ReadonlyMap<string, ProducerKey>,
  batchId: string,
): LedgerRow {
  const ids = new Set(damage.ranges.map(({ producerId }) => formatUuid(producerId)));
  const [only] = damage.ranges;
  const isOne = ids.size === 1 && only !== undefined;
  const { id, project, runId } = isOne ? producerOf(only, producers) : nobody;
  return {
    values: {
      project,
      run_id: runId,
      producer_id: id,
      received_date: receivedDate(segmentId),
      batch_id: batchId,
      first_sequence: String(isOne ? only.firstSequence : 0),
      last_sequence: String(isOne ? (damage.ranges.at(-1) as DamagedRange).lastSequence : 0),
      events: '0',
      error_code: 0,
      error: reportOf(segmentId, damage),
      request: '',
      time: uuidTimeMs(segmentId),
    },
  };
}

function reportOf(segmentId: string, damage: Damage): string {
  return `segment ${segmentId} is damaged: ${damage.problem}; its file is kept in wal/damaged`;
}

function producerOf(range: DamagedRange, producers: ReadonlyMap<string, ProducerKey>) {
  const id = formatUuid(range.producerId);
  return { ...nobody, ...producers.get(id), id };
}
