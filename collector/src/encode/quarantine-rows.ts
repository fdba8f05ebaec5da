/**
 * The rows for events that ClickHouse refuses for good.
 *
 * Invariants:
 * 1. A piece lies in one request and its numbers have no hole, so that a row of `quarantine` and its row
 *    of `losses` tell the same range, and `first_sequence + index` is an event's number.
 * 2. Both rows carry the piece's own batch id, which names its events within the segment.
 */
import type { Producer, Refusal, RefusedRange, RequestRecord, SegmentContents } from '../record.js';
import { type LedgerRow, ledgerKey, nanoOf } from './ledger-rows.js';
import { encodeQuarantinedRequest } from './quarantined-request.js';
import type { SegmentIndex } from './segment-index.js';
import { type SegmentPart, segmentPart } from './segment-part.js';

/** Events that are quarantined as one row. */
export interface QuarantinePiece extends SegmentPart {
  /** Index of the request in the segment. */
  readonly request: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Size of the events' encoding. */
  readonly bytes: number;
  readonly refusal: Refusal;
}

/** Cuts refused ranges where a request ends or a number is missing. */
export function quarantinePieces(
  segment: SegmentContents,
  index: SegmentIndex,
  refused: readonly RefusedRange[],
): QuarantinePiece[] {
  const pieces: QuarantinePiece[] = [];
  for (const range of refused) {
    index.scan(segment, range);
    let first = 0;
    for (let event = 1; event <= index.count; event++) {
      const goesOn =
        event < index.count &&
        index.requests[event] === index.requests[first] &&
        index.sequences[event] === (index.sequences[event - 1] as number) + 1;
      if (goesOn) continue;
      pieces.push({
        ...segmentPart(segment.id, { from: range.from + first, to: range.from + event }),
        request: index.requests[first] as number,
        firstSequence: index.sequences[first] as number,
        lastSequence: index.sequences[event - 1] as number,
        bytes: (index.ends[event - 1] as number) - (index.starts[first] as number),
        refusal: range.refusal,
      });
      first = event;
    }
  }
  return pieces;
}

/** Rows of `quarantine`. */
export function quarantineRows(
  segment: SegmentContents,
  index: SegmentIndex,
  pieces: readonly QuarantinePiece[],
): LedgerRow[] {
  return pieces.map((piece) => {
    index.scan(segment, piece);
    const request = segment.requests[piece.request] as RequestRecord;
    const events = Array.from({ length: index.count }, (_, event) =>
      segment.bytes.subarray(index.starts[event], index.ends[event]),
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
        detail: piece.refusal.message.slice(0, 1000),
      },
      nano: { column: 'time', value: nanoOf(request.receivedUnixMs) },
    };
  });
}
