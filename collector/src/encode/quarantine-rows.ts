/**
 * The rows for events that ClickHouse refuses for good.
 *
 * Invariants:
 * 1. A piece lies in one request and its numbers have no hole, so that a row of `quarantine` and its row
 *    of `losses` tell the same range, and `first_sequence + index` is an event's number.
 * 2. Both rows carry the piece's own batch id, which names its events within the segment.
 */
import type {
  EventRange,
  Producer,
  Refusal,
  RefusedRange,
  RequestRecord,
  SegmentContents,
} from '../record.js';
import { type LedgerRow, ledgerKey, nanoOf } from './ledger-rows.js';
import { encodeProducer, encodeQuarantinedRequest } from './quarantined-request.js';
import type { SegmentIndex } from './segment-index.js';
import { type SegmentPart, segmentPart } from './segment-part.js';

/** Events that are quarantined as one row. */
export interface QuarantinePiece extends SegmentPart {
  /** Index of the request in the segment. */
  readonly request: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** What its row of `quarantine` takes as JSON, at most; its row of `losses` takes less. */
  readonly bytes: number;
  readonly refusal: Refusal;
}

/** Names of columns, numbers and punctuation of a row. */
const frameBytes = 512;
/** Tag and length in front of an event. */
const eventFrameBytes = 6;

/**
 * Cuts refused ranges where a request ends or a number is missing.
 * @param refused ascending, without overlap: the segment is walked once
 */
export function quarantinePieces(
  segment: SegmentContents,
  index: SegmentIndex,
  refused: readonly RefusedRange[],
): QuarantinePiece[] {
  const pieces: QuarantinePiece[] = [];
  const base = scanAll(segment, index, refused);
  const producerBytes = new Map<number, number>();
  const producerBytesOf = (request: number): number => {
    const { producerIndex } = segment.requests[request] as RequestRecord;
    let bytes = producerBytes.get(producerIndex);
    if (bytes === undefined) {
      const producer = segment.producers[producerIndex] as Producer;
      bytes =
        jsonBytes(producer.project) +
        jsonBytes(producer.runId) +
        base64Bytes(encodeProducer(producer).length);
      producerBytes.set(producerIndex, bytes);
    }
    return bytes;
  };
  for (const range of refused) {
    const refusalBytes = jsonBytes(range.refusal.message);
    const end = Math.min(range.to - base, index.count);
    let first = range.from - base;
    for (let event = first + 1; event <= end; event++) {
      const goesOn =
        event < end &&
        index.requests[event] === index.requests[first] &&
        index.sequences[event] === (index.sequences[event - 1] as number) + 1;
      if (goesOn) continue;
      const request = index.requests[first] as number;
      let eventBytes = 0;
      for (let at = first; at < event; at++) eventBytes += index.eventSize(at);
      pieces.push({
        ...segmentPart(segment.id, { from: base + first, to: base + event }),
        request,
        firstSequence: index.sequences[first] as number,
        lastSequence: index.sequences[event - 1] as number,
        bytes:
          frameBytes +
          refusalBytes +
          producerBytesOf(request) +
          base64Bytes(eventBytes + eventFrameBytes * (event - first)),
        refusal: range.refusal,
      });
      first = event;
    }
  }
  return pieces;
}

/** Scans from the first of ascending ranges to the last; returns the number of the first scanned event. */
function scanAll(segment: SegmentContents, index: SegmentIndex, ranges: readonly EventRange[]): number {
  const from = ranges[0]?.from ?? 0;
  index.scan(segment, { from, to: ranges.at(-1)?.to ?? from });
  return from;
}

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}

function base64Bytes(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/**
 * Rows of `quarantine`.
 * @param pieces ascending: the segment is walked once
 */
export function quarantineRows(
  segment: SegmentContents,
  index: SegmentIndex,
  pieces: readonly QuarantinePiece[],
): LedgerRow[] {
  const base = scanAll(segment, index, pieces);
  return pieces.map((piece) => {
    const request = segment.requests[piece.request] as RequestRecord;
    const events = Array.from({ length: piece.to - piece.from }, (_, event) =>
      index.eventBytes(piece.from - base + event),
    );
    const { rank: _, ...key } = ledgerKey(segment, request);
    return {
      values: {
        ...key,
        batch_id: piece.batchId,
        first_sequence: String(piece.firstSequence),
        last_sequence: String(piece.lastSequence),
        events: String(events.length),
        error_code: piece.refusal.code,
        error: piece.refusal.message,
        request: encodeQuarantinedRequest(
          segment.producers[request.producerIndex] as Producer,
          piece.firstSequence,
          events,
        ).toString('base64'),
        // A DateTime64(3) takes a bare number as its count of milliseconds.
        time: request.receivedUnixMs,
      },
    };
  });
}

/** Rows of `losses` for the same pieces. */
export function quarantinedLossRows(
  segment: SegmentContents,
  pieces: readonly QuarantinePiece[],
): LedgerRow[] {
  return pieces.map((piece) => {
    const request = segment.requests[piece.request] as RequestRecord;
    return {
      values: {
        ...ledgerKey(segment, request),
        batch_id: piece.batchId,
        first_sequence: String(piece.firstSequence),
        last_sequence: String(piece.lastSequence),
        origin: 'store',
        reason: 'quarantined',
        detail: piece.refusal.message.slice(0, 1000).toWellFormed(),
      },
      nano: { column: 'time', value: nanoOf(request.receivedUnixMs) },
    };
  });
}
