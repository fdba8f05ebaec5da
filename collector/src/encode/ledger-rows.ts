/**
 * The rows that a segment brings besides its events: who its producers are, and which sequence
 * numbers are not events, with the reason. Few and off the hot path, so they travel as JSONEachRow.
 */
import { lossReasons, rejectionReasons } from '@sluice/proto';
import { isPlanted } from '../fault-points.js';
import { messageLimits } from '../limits.js';
import { readLosses } from '../losses.js';
import type { Producer, RequestRecord, SegmentContents } from '../record.js';
import { formatUuid, uuidTimeMs } from '../uuid7.js';

/** One row: its columns, and the one that is a DateTime64(9), in nanoseconds since 1970 as decimal text. */
export interface LedgerRow {
  readonly values: Readonly<Record<string, unknown>>;
  readonly nano?: { readonly column: string; readonly value: string };
}

/** Rows of `producers`, for those that `isKnown` does not know by their id. */
export function producerRows(
  segment: SegmentContents,
  isKnown: (producerId: string) => boolean,
): LedgerRow[] {
  const firstSeen = new Map<number, number>();
  for (const { producerIndex, receivedUnixMs } of segment.requests) {
    if (!firstSeen.has(producerIndex)) firstSeen.set(producerIndex, receivedUnixMs);
  }
  return segment.producers.flatMap((producer, index) => {
    const id = formatUuid(producer.id);
    if (isKnown(id)) return [];
    const values = {
      project: producer.project,
      run_id: producer.runId,
      producer_id: id,
      rank: producer.rank,
      local_rank: producer.localRank,
      world_size: producer.worldSize,
      attempt: producer.attempt,
      job: producer.job,
      host: producer.host,
      pid: producer.pid,
      sdk_name: producer.sdkName,
      sdk_version: producer.sdkVersion,
      labels: Object.fromEntries(producer.labels),
      batch_id: segment.id,
    };
    const startTime = producer.startTimeUnixNano || nanoOf(firstSeen.get(index) ?? 0);
    return { values, nano: { column: 'start_time', value: startTime } };
  });
}

/** Rows of `losses`: what producers dropped, and what the door rejected. */
export function lossRows(segment: SegmentContents): LedgerRow[] {
  const rows = segment.requests.flatMap((request) => {
    const common = ledgerKey(segment, request);
    const received = nanoOf(request.receivedUnixMs);
    const lost =
      request.lossCount > 0
        ? readLosses(segment.bytes.subarray(request.start, request.end), messageLimits)
        : [];
    return [
      ...lost.map((loss) => ({
        values: {
          ...common,
          first_sequence: String(loss.firstSequence),
          last_sequence: String(loss.firstSequence + loss.count - 1),
          origin: 'sdk',
          reason: lossReasons[loss.reason] ?? `reason_${loss.reason}`,
          detail: loss.detail,
        },
        nano: { column: 'time', value: loss.timeUnixNano || received },
      })),
      ...request.rejections.map((rejection) => ({
        values: {
          ...common,
          first_sequence: String(rejection.sequence),
          last_sequence: String(rejection.sequence),
          origin: 'collector',
          reason: rejectionReasons[rejection.reason] ?? `reason_${rejection.reason}`,
          detail: rejection.detail,
        },
        nano: { column: 'time', value: received },
      })),
    ];
  });
  return isPlanted('drop-loss') ? rows.slice(0, -1) : rows;
}

/** The columns that all rows of a request share. */
export function ledgerKey(segment: SegmentContents, request: RequestRecord) {
  const producer = segment.producers[request.producerIndex] as Producer;
  return {
    project: producer.project,
    run_id: producer.runId,
    producer_id: formatUuid(producer.id),
    rank: producer.rank,
    received_date: receivedDate(segment.id),
    batch_id: segment.id,
  };
}

/** The day of a segment, as ClickHouse writes a Date. */
export function receivedDate(segmentId: string): string {
  return new Date(uuidTimeMs(segmentId)).toISOString().slice(0, 10);
}

/** Unix milliseconds as nanoseconds. */
export function nanoOf(unixMs: number): string {
  return `${unixMs}000000`;
}

/** Names of the columns that a row fills. */
export function ledgerColumns(row: LedgerRow): string[] {
  return [...Object.keys(row.values), ...(row.nano === undefined ? [] : [row.nano.column])];
}

/** Rows of one chunk: small enough for a string, whatever their number. */
const rowsPerChunk = 1000;

/**
 * The rows as JSONEachRow, in chunks. A DateTime64(9) takes a bare number as its count of nanoseconds;
 * as text it would be a calendar date wherever it could be read as one, and a JavaScript number is too
 * short for it, so its digits are written as they are.
 */
export function jsonEachRow(rows: readonly LedgerRow[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let from = 0; from < rows.length; from += rowsPerChunk) {
    const lines = rows.slice(from, from + rowsPerChunk).map(({ values, nano }) => {
      const json = wellFormed(JSON.stringify(values));
      return nano === undefined ? `${json}\n` : `${json.slice(0, -1)},"${nano.column}":${nano.value}}\n`;
    });
    chunks.push(Buffer.from(lines.join('')));
  }
  return chunks;
}

/**
 * JSON without half characters, such as a cut leaves: ClickHouse refuses the whole insert for one. They
 * stand in the text as escapes, and nothing else stands as such an escape.
 */
function wellFormed(json: string): string {
  if (!json.includes('\\ud')) return json;
  return json.replace(/\\(?:\\|ud[89a-f][0-9a-f]{2})/g, (found) => (found === '\\\\' ? found : '\\ufffd'));
}
