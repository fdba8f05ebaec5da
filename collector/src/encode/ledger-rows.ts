/**
 * The rows that a segment brings besides its events: who its producers are, and which sequence
 * numbers are not events, with the reason. Few and off the hot path, so they travel as JSONEachRow.
 */
import { lossReasons, rejectionReasons } from '@sluice/proto';
import { messageLimits } from '../limits.js';
import { readLosses } from '../losses.js';
import type { Producer, RequestRecord, SegmentContents } from '../record.js';
import { formatUuid, uuidTimeMs } from '../uuid7.js';

export type LedgerRow = Readonly<Record<string, unknown>>;

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
    return {
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
      start_time: dateTime64(producer.startTimeUnixNano || nanoOf(firstSeen.get(index) ?? 0)),
      batch_id: segment.id,
    };
  });
}

/** Rows of `losses`: what producers dropped, and what the door rejected. */
export function lossRows(segment: SegmentContents): LedgerRow[] {
  return segment.requests.flatMap((request) => {
    const common = ledgerKey(segment, request);
    const received = nanoOf(request.receivedUnixMs);
    const lost =
      request.lossCount > 0
        ? readLosses(segment.bytes.subarray(request.start, request.end), messageLimits)
        : [];
    return [
      ...lost.map((loss) => ({
        ...common,
        first_sequence: String(loss.firstSequence),
        last_sequence: String(loss.firstSequence + loss.count - 1),
        origin: 'sdk',
        reason: lossReasons[loss.reason] ?? `reason_${loss.reason}`,
        detail: loss.detail,
        time: dateTime64(loss.timeUnixNano || received),
      })),
      ...request.rejections.map((rejection) => ({
        ...common,
        first_sequence: String(rejection.sequence),
        last_sequence: String(rejection.sequence),
        origin: 'collector',
        reason: rejectionReasons[rejection.reason] ?? `reason_${rejection.reason}`,
        detail: rejection.detail,
        time: dateTime64(received),
      })),
    ];
  });
}

export interface Refusal {
  readonly code: number;
  readonly message: string;
}

/** Rows of `quarantine` for a segment that ClickHouse refuses for good: one a request that has events. */
export function quarantineRows(segment: SegmentContents, refusal: Refusal): LedgerRow[] {
  return requestsWithEvents(segment).map((request) => ({
    ...withoutRank(ledgerKey(segment, request)),
    first_sequence: String(request.firstSequence),
    last_sequence: String(request.lastSequence),
    events: String(request.eventCount - request.rejections.length),
    error_code: refusal.code,
    error: refusal.message,
    request: segment.bytes.toString('base64', request.start, request.end),
    time: (request.receivedUnixMs / 1000).toFixed(3),
  }));
}

/** Rows of `losses` for the events that went to quarantine: the numbers between losses and rejections. */
export function quarantinedLossRows(segment: SegmentContents, refusal: Refusal): LedgerRow[] {
  return requestsWithEvents(segment).flatMap((request) => {
    const taken = [
      ...(request.lossCount > 0
        ? readLosses(segment.bytes.subarray(request.start, request.end), messageLimits)
        : []),
      ...request.rejections.map(({ sequence }) => ({ firstSequence: sequence, count: 1 })),
    ].sort((a, b) => a.firstSequence - b.firstSequence);
    const ranges: [number, number][] = [];
    let next = request.firstSequence;
    for (const { firstSequence, count } of taken) {
      if (firstSequence > next) ranges.push([next, firstSequence - 1]);
      next = firstSequence + count;
    }
    if (next <= request.lastSequence) ranges.push([next, request.lastSequence]);
    return ranges.map(([first, last]) => ({
      ...ledgerKey(segment, request),
      first_sequence: String(first),
      last_sequence: String(last),
      origin: 'store',
      reason: 'quarantined',
      detail: refusal.message.slice(0, 1000),
      time: dateTime64(nanoOf(request.receivedUnixMs)),
    }));
  });
}

function requestsWithEvents(segment: SegmentContents): RequestRecord[] {
  return segment.requests.filter((request) => request.eventCount > request.rejections.length);
}

function ledgerKey(segment: SegmentContents, request: RequestRecord) {
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

function withoutRank({ rank: _, ...rest }: ReturnType<typeof ledgerKey>) {
  return rest;
}

/** The day of a segment, as ClickHouse writes a Date. */
export function receivedDate(segmentId: string): string {
  return new Date(uuidTimeMs(segmentId)).toISOString().slice(0, 10);
}

function nanoOf(unixMs: number): string {
  return `${unixMs}000000`;
}

/** Nanoseconds in decimal to seconds with a fraction, which DateTime64 reads in any time zone. */
function dateTime64(nano: string): string {
  const digits = nano.padStart(10, '0');
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

export function jsonEachRow(rows: readonly LedgerRow[]): Buffer[] {
  return [Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))];
}
