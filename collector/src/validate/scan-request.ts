/**
 * Checks one LogRequest's bytes, before anything of it is kept.
 *
 * Invariants:
 * 1. Bytes that are not valid Protobuf are refused whole; nothing of them is stored.
 * 2. An event that breaks a limit is rejected alone; its number counts as used.
 * 3. The request's range is first_sequence .. lastSequence, without holes: every number is an event
 *    or lies in one loss.
 * 4. Nothing is allocated for a good event, and of blocks only where their offsets lie: the memory that a
 *    request takes here does not grow with what its blocks hold.
 */
import { BlockView, readBlock } from '../event-block.js';
import type { MessageLimits } from '../limits.js';
import { readLoss } from '../losses.js';
import { Cursor } from '../protobuf.js';
import type { Loss, Rejection } from '../record.js';
import { type BlockNumbers, findNumberProblem } from './number-cover.js';
import { type RejectedRow, scanBlock } from './scan-block.js';
import { EventVerdict, scanEvent } from './scan-event.js';

export interface ScannedRequest {
  readonly kind: 'scanned';
  /** Bytes of the `Producer`, if the message has one. */
  readonly producer: Buffer | null;
  /** 0 if the request is empty. */
  readonly firstSequence: number;
  /** firstSequence − 1 if the request is empty. */
  readonly lastSequence: number;
  readonly eventCount: number;
  readonly losses: readonly Loss[];
  /** Numbers covered by the losses. */
  readonly lossCount: number;
  readonly rejections: readonly Rejection[];
  /** What it takes beyond its bytes while it is encoded; see BlockView. */
  readonly expansionBytes: number;
  /** Whether somebody waits for what the call has brought. */
  readonly flush: boolean;
}

export type RequestScan =
  | ScannedRequest
  /** Not valid Protobuf, or against the contract: refused whole. */
  | { readonly kind: 'invalid'; readonly problem: string };

const cursor = new Cursor();
const verdict = new EventVerdict();

const invalid = (problem: string): RequestScan => ({ kind: 'invalid', problem });

export function scanRequest(bytes: Buffer, limits: MessageLimits): RequestScan {
  cursor.reset(bytes, 0, bytes.length);
  const end = bytes.length;
  let producer: Buffer | null = null;
  let firstSequence = 0;
  let eventCount = 0;
  let block: BlockView | undefined;
  const blocks: BlockNumbers[] = [];
  let blockEvents = 0;
  let expansionBytes = 0;
  const rejectedRows: RejectedRow[] = [];
  let flush = false;
  const losses: Loss[] = [];
  /** By index of the event; the sequence is known once all losses are. */
  const rejected: { index: number; reason: number; detail: string }[] = [];

  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag === 0x1a) {
      cursor.bytes();
      if (cursor.problem !== '') break;
      const eventEnd = cursor.fieldEnd;
      cursor.position = cursor.fieldStart;
      cursor.end = eventEnd;
      scanEvent(cursor, limits, verdict);
      if (cursor.problem !== '') break;
      cursor.end = end;
      if (verdict.reason !== 0) {
        rejected.push({ index: eventCount, reason: verdict.reason, detail: verdict.detail });
        if (rejected.length > limits.rejectionsPerRequest) {
          return invalid(
            `more than ${limits.rejectionsPerRequest} events of the request break a limit; the last: ${verdict.detail}`,
          );
        }
      }
      eventCount++;
      if (eventCount > limits.eventsPerRequest) {
        return invalid(
          `the request has more than ${limits.eventsPerRequest} events, which is all that is allowed`,
        );
      }
    } else if (tag === 0x0a) {
      cursor.bytes();
      const part = bytes.subarray(cursor.fieldStart, cursor.fieldEnd);
      // A message field that comes twice is merged, which is the same as decoding both together.
      producer = producer === null ? part : Buffer.concat([producer, part]);
    } else if (tag === 0x10) {
      firstSequence = cursor.varint();
    } else if (tag === 0x22) {
      cursor.bytes();
      if (cursor.problem !== '') break;
      block ??= new BlockView(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
      block.clear();
      const problem = readBlock(block, cursor.fieldStart, cursor.fieldEnd);
      if (problem !== '') return invalid(problem);
      blocks.push({ start: block.offsetsStart, end: block.offsetsEnd, count: block.count });
      blockEvents += block.count;
      if (blocks.length > limits.blocksPerRequest) {
        return invalid(
          `the request has more than ${limits.blocksPerRequest} blocks, which is all that is allowed`,
        );
      }
      if (blockEvents > limits.eventsPerRequest) {
        return invalid(
          `the request has more than ${limits.eventsPerRequest} events, which is all that is allowed`,
        );
      }
      // Before a look at the texts, which may be one at each event.
      expansionBytes += block.expansionBytes;
      if (bytes.length + expansionBytes > limits.expandedBytes) {
        return invalid(
          `the events of the request's blocks take ${bytes.length + expansionBytes} bytes, with the attributes of each; at most ${limits.expandedBytes} are allowed`,
        );
      }
      const contentProblem = scanBlock(block, limits, rejectedRows);
      if (contentProblem !== '') return invalid(contentProblem);
      if (rejectedRows.length > limits.rejectionsPerRequest) {
        return invalid(
          `more than ${limits.rejectionsPerRequest} events of the request break a limit; the last: ${rejectedRows.at(-1)?.detail}`,
        );
      }
    } else if (tag === 0x2a) {
      cursor.bytes();
      if (cursor.problem !== '') break;
      const problem = readLoss(cursor, limits, losses);
      if (problem !== '') return invalid(problem);
      if (losses.length > limits.lossesPerRequest) {
        return invalid(
          `the request has more than ${limits.lossesPerRequest} losses, which is all that is allowed`,
        );
      }
    } else if (tag === 0x30) {
      flush = cursor.varint() !== 0;
    } else {
      cursor.skip(tag);
    }
  }
  if (cursor.problem !== '') return invalid(`the message is not valid Protobuf: ${cursor.problem}`);
  if (blocks.length > 0 && eventCount > 0) {
    return invalid('the request has events and blocks; one or the other is allowed');
  }
  eventCount += blockEvents;
  if (eventCount > limits.eventsPerRequest) {
    return invalid(`the request has ${eventCount} events; at most ${limits.eventsPerRequest} are allowed`);
  }
  if (losses.length > limits.lossesPerRequest) {
    return invalid(`the request has ${losses.length} losses; at most ${limits.lossesPerRequest} are allowed`);
  }
  if (eventCount === 0 && losses.length === 0) {
    return {
      kind: 'scanned',
      producer,
      firstSequence: 0,
      lastSequence: -1,
      eventCount: 0,
      losses,
      lossCount: 0,
      rejections: [],
      expansionBytes,
      flush,
    };
  }
  if (firstSequence < 1)
    return invalid('first_sequence is missing; the first event of a producer is number 1');

  let lossCount = 0;
  for (const loss of losses) lossCount += loss.count;
  const numbers = eventCount + lossCount;
  const lastSequence = firstSequence + (numbers - 1);
  // Compared before it is added: a sum beyond 2^53 is rounded, perhaps to one that is allowed.
  if (firstSequence > Number.MAX_SAFE_INTEGER - (numbers - 1)) {
    return invalid(`the request reaches sequence ${lastSequence}; at most 2^53 - 1 is allowed`);
  }
  let next = firstSequence;
  for (const loss of losses) {
    if (loss.firstSequence < next) {
      return invalid(
        `a loss starts at sequence ${loss.firstSequence}; losses must ascend without overlap from ${next} on`,
      );
    }
    next = loss.firstSequence + loss.count;
  }
  if (next - 1 > lastSequence) {
    return invalid(
      `a loss reaches sequence ${next - 1}; the request's ${eventCount} events and ${lossCount} lost numbers end at ${lastSequence}`,
    );
  }
  let rejections = withSequences(rejected, firstSequence, losses);
  if (block !== undefined) {
    const problem = findNumberProblem(bytes, blocks, { losses, firstSequence, eventCount });
    if (problem !== '') return invalid(problem);
    rejections = rejectedRows
      .map(({ offset, reason, detail }) => ({ sequence: firstSequence + offset, reason, detail }))
      .sort((a, b) => a.sequence - b.sequence);
  }
  return {
    kind: 'scanned',
    producer,
    firstSequence,
    lastSequence,
    eventCount,
    losses,
    lossCount,
    rejections,
    expansionBytes,
    flush,
  };
}

/** Both lists ascend, so one walk along both finds each event's number. */
function withSequences(
  rejected: readonly { index: number; reason: number; detail: string }[],
  firstSequence: number,
  losses: readonly Loss[],
): Rejection[] {
  let lost = 0;
  let next = 0;
  return rejected.map(({ index, reason, detail }) => {
    for (let loss = losses[next]; loss !== undefined; loss = losses[next]) {
      if (loss.firstSequence > firstSequence + index + lost) break;
      lost += loss.count;
      next++;
    }
    return { sequence: firstSequence + index + lost, reason, detail };
  });
}
