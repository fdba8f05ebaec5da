import { tag, varintField, varintSize, wireType, writeMsAsNanos, writeVarint } from '../encode/protobuf.js';
import { wireLimits } from '../limits.js';
import { appendLoss, type LossRange, type LossReason, lossReasonNumber } from './loss.js';
import { readLosses } from './read-losses.js';

/** A request as it goes out, and again if need be, byte for byte. */
export interface FrozenRequest {
  readonly first: number;
  readonly last: number;
  readonly events: number;
  /** The losses in it, ascending. */
  readonly losses: readonly LossRange[];
  /** The producer field, and behind it the request. */
  readonly bytesWithProducer: Buffer;
  /** The request alone. */
  readonly bytes: Buffer;
  /** How often it was handed to a call. */
  sends: number;
  /** Whether it is in the spool's file, or was given up while it waited to be written there. */
  spooled?: 'stored' | 'gone';
}

const firstSequenceField = 2;
const lossField = 5;

/** What stands in front of a request's events: the producer and the first sequence. */
export function requestPrefix(producer: Uint8Array, first: number): Uint8Array {
  return Buffer.concat([producer, varintField(firstSequenceField, first)]);
}

/**
 * What takes the place of a request that will never be stored: the same numbers from `from` on, all of
 * them lost. The losses that it held keep their reasons.
 */
export function freezeLost(
  lost: { from: number; last: number; losses: readonly LossRange[]; reason: LossReason; timeMs: number },
  producer: Uint8Array,
): FrozenRequest[] {
  const ranges: LossRange[] = [];
  let next = lost.from;
  const refuse = (end: number): void => {
    if (end > next)
      appendLoss(ranges, { first: next, count: end - next, reason: lost.reason, timeMs: lost.timeMs });
    next = Math.max(next, end);
  };
  for (const range of lost.losses) {
    const end = range.first + range.count;
    if (end <= lost.from) continue;
    refuse(range.first);
    appendLoss(ranges, { ...range, first: next, count: end - next });
    next = end;
  }
  refuse(lost.last + 1);
  return assemble(lost.from, ranges, producer);
}

/** A request as it was frozen once, from its bytes. */
export function thawRequest(
  stored: { first: number; last: number; events: number; bytes: Uint8Array },
  producer: Uint8Array,
): FrozenRequest {
  const { first, last, events } = stored;
  const count = last - first + 1;
  const losses = events < count ? readLosses(stored.bytes) : [];
  const bytes = Buffer.concat([producer, stored.bytes]);
  return { ...frozenRequest({ first, count, events, losses, bytes, producer }), spooled: 'stored' };
}

type Part = LossRange | { events: number; bytes: Buffer };

/** Requests of these parts; one, unless there are a great many losses. */
export function assemble(start: number, parts: Iterable<Part>, producer: Uint8Array): FrozenRequest[] {
  const requests: FrozenRequest[] = [];
  let first = start;
  let next = start;
  let events = 0;
  let losses: LossRange[] = [];
  let pieces: Uint8Array[] = [];
  const finish = (): void => {
    if (next === first) return;
    const bytes = Buffer.concat([requestPrefix(producer, first), ...pieces, encodeLosses(losses)]);
    requests.push(frozenRequest({ first, count: next - first, events, losses, bytes, producer }));
    first = next;
    events = 0;
    losses = [];
    pieces = [];
  };
  for (const part of parts) {
    if ('events' in part) {
      pieces.push(part.bytes);
      events += part.events;
      next += part.events;
    } else {
      if (losses.length === wireLimits.lossesPerRequest) finish();
      losses.push(part);
      next += part.count;
    }
  }
  finish();
  return requests;
}

export function frozenRequest(content: {
  first: number;
  count: number;
  events: number;
  losses: readonly LossRange[];
  bytes: Buffer;
  producer: Uint8Array;
}): FrozenRequest {
  return {
    first: content.first,
    last: content.first + content.count - 1,
    events: content.events,
    losses: content.losses,
    bytesWithProducer: content.bytes,
    bytes: content.bytes.subarray(content.producer.length),
    sends: 0,
  };
}

/** The fields `losses` of a request. */
export function encodeLosses(losses: readonly LossRange[]): Uint8Array {
  let size = 0;
  for (const loss of losses) size += 2 + lossSize(loss);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const loss of losses) {
    bytes[at++] = tag(lossField, wireType.bytes);
    at = writeVarint(bytes, at, lossSize(loss));
    bytes[at++] = tag(1, wireType.varint);
    at = writeVarint(bytes, at, loss.first);
    bytes[at++] = tag(2, wireType.varint);
    at = writeVarint(bytes, at, loss.count);
    bytes[at++] = tag(3, wireType.varint);
    bytes[at++] = lossReasonNumber(loss.reason);
    bytes[at++] = tag(5, wireType.fixed64);
    writeMsAsNanos(view, at, loss.timeMs);
    at += 8;
  }
  return bytes;
}

/** Of a loss without tag and length; its length takes one byte. */
function lossSize(loss: LossRange): number {
  return 1 + varintSize(loss.first) + 1 + varintSize(loss.count) + 2 + 9;
}
