/**
 * Malformed requests against the door itself, in this process: what it accepts must mean what the
 * reference reads, must be encoded, and nothing may throw or hang.
 */

import { SegmentEncoder } from '@sluice/collector/encode/encode-segment.js';
import { lossRows, producerRows } from '@sluice/collector/encode/ledger-rows.js';
import { SegmentIndex } from '@sluice/collector/encode/segment-index.js';
import { messageLimits } from '@sluice/collector/limits.js';
import { CallIntake } from '@sluice/collector/receive/intake.js';
import type { Producer, RequestRecord, SegmentContents } from '@sluice/collector/record.js';
import { decodeStoredProducer } from '@sluice/collector/validate/decode-producer.js';
import { scanRequest } from '@sluice/collector/validate/scan-request.js';
import type { WriteAheadLog } from '@sluice/collector/wal/log.js';
import type { Random } from '../random.js';
import { makeMessages, messageKinds } from './mutations.js';
import { producerIdOf, type ReferenceEvent, readEvent, readRequest, sequencesOf } from './reference.js';
import { judgeBlocks } from './reference-blocks.js';

export interface FuzzResult {
  readonly inputs: number;
  readonly accepted: number;
  readonly events: number;
  /** Messages with blocks, or that nobody can read, whose whole verdict was compared. */
  readonly judged: number;
  /** Of these, those that were taken, and those of them with rejected events. */
  readonly taken: number;
  readonly withRejections: number;
  readonly violations: readonly string[];
}

type Appended = {
  producer: { encoded: Buffer };
  head: Omit<RequestRecord, 'producerIndex' | 'start' | 'end'>;
  request: Buffer;
};

/** A log that takes everything and forgets nothing. */
class TakingLog {
  readonly generation = 0;
  readonly pendingBytes = 0;
  readonly taken: Appended[] = [];
  readonly #appended = new Map<string, number>();

  appendedOf(key: string): number {
    return this.#appended.get(key) ?? 0;
  }

  admission(): { kind: 'open' } {
    return { kind: 'open' };
  }

  append(producer: { key: string; encoded: Buffer }, head: Appended['head'], request: Buffer): void {
    this.#appended.set(producer.key, head.lastSequence);
    this.taken.push({ producer, head, request });
  }
}

const segmentRequests = 100;
const mostMs = 1000;

export function fuzz(random: Random, inputs: number, kinds: readonly string[] = messageKinds): FuzzResult {
  const violations: string[] = [];
  const encoder = new SegmentEncoder();
  let pending: Appended[] = [];
  let accepted = 0;
  let events = 0;
  let judged = 0;
  let taken = 0;
  let withRejections = 0;
  const cheap = kinds.filter((kind) => kind !== 'too-many-rejections');
  const encode = (): void => {
    if (pending.length === 0) return;
    const problem = encodeAll(encoder, pending);
    if (problem !== undefined) violations.push(problem);
    pending = [];
  };
  for (let input = 0; input < inputs; input++) {
    const kind =
      input % 5000 === 0 && cheap.length < kinds.length
        ? 'too-many-rejections'
        : (cheap[input % cheap.length] as string);
    const { messages } = makeMessages(kind, random);
    const log = new TakingLog();
    const intake = new CallIntake(log as unknown as WriteAheadLog, messageLimits, () => 1_700_000_000_000);
    for (const message of messages) {
      const before = Buffer.from(message);
      const startMs = performance.now();
      try {
        const judgement = judgeBlocks(message);
        if (judgement !== undefined) {
          judged++;
          if (judgement.kind === 'taken') taken++;
          if (judgement.kind === 'taken' && judgement.rejected.length > 0) withRejections++;
          const problem = judgesOtherwise(judgement, message);
          if (problem !== undefined) violations.push(`${kind}, input ${input}: ${problem}: ${hex(before)}`);
        }
        const refusal = intake.take(message);
        const appended = log.taken.at(-1);
        if (refusal === undefined && appended !== undefined && appended.request === message) {
          accepted++;
          events += appended.head.eventCount;
          const problem = differs(appended, message);
          if (problem !== undefined) violations.push(`${kind}, input ${input}: ${problem}: ${hex(before)}`);
          pending.push(appended);
        }
      } catch (error) {
        violations.push(`${kind}, input ${input}: ${String(error)}: ${hex(before)}`);
      }
      if (performance.now() - startMs > mostMs)
        violations.push(`${kind}, input ${input} took too long: ${hex(before)}`);
      if (!before.equals(message))
        violations.push(`${kind}, input ${input}: the message was changed: ${hex(before)}`);
    }
    if (pending.length >= segmentRequests) encode();
  }
  encode();
  return { inputs, accepted, events, judged, taken, withRejections, violations };
}

export function hex(bytes: Buffer): string {
  return `${bytes.toString('hex', 0, 200)}${bytes.length > 200 ? `… (${bytes.length} bytes)` : ''}`;
}

/** How the door's verdict on a request of blocks differs from the reference's. */
function judgesOtherwise(
  judgement: NonNullable<ReturnType<typeof judgeBlocks>>,
  message: Buffer,
): string | undefined {
  const scan = scanRequest(message, messageLimits);
  if (scan.kind === 'invalid')
    return judgement.kind === 'refused' ? undefined : `refused (${scan.problem}), the reference takes it`;
  if (judgement.kind === 'refused') return `taken, the reference refuses it: ${judgement.why}`;
  const rejected = scan.rejections.map(({ sequence }) => String(sequence)).join();
  return rejected === judgement.rejected.join()
    ? undefined
    : `rejects ${rejected}, the reference ${judgement.rejected.join()}`;
}

/** How what was accepted differs from what the reference reads. */
function differs({ producer, head }: Appended, message: Buffer): string | undefined {
  let reference: ReturnType<typeof readRequest>;
  try {
    reference = readRequest(message);
    // The first message of a call named it; a later one may leave it out.
    if (producerIdOf(producer.encoded).length !== 16)
      return 'accepted, but its producer has no id of 16 bytes';
  } catch (error) {
    return `accepted, but the reference refuses it: ${String(error)}`;
  }
  const { events, losses, firstSequence } = reference;
  const lost = losses.reduce((sum, { count }) => sum + count, 0n);
  const sequences = sequencesOf(reference);
  const last = firstSequence + BigInt(events.length) + lost - 1n;
  if (head.eventCount !== events.length)
    return `${head.eventCount} events, the reference reads ${events.length}`;
  if (BigInt(head.lossCount) !== lost) return `${head.lossCount} losses, the reference reads ${lost}`;
  if (BigInt(head.firstSequence) !== firstSequence || BigInt(head.lastSequence) !== last)
    return `sequences ${head.firstSequence} to ${head.lastSequence}, the reference reads ${firstSequence} to ${last}`;
  const stray = head.rejections.find(({ sequence }) => !sequences.includes(BigInt(sequence)));
  return stray === undefined ? undefined : `number ${stray.sequence} is rejected, which is no event`;
}

function encodeAll(encoder: SegmentEncoder, taken: readonly Appended[]): string | undefined {
  const producers: Producer[] = [];
  const requests: RequestRecord[] = [];
  let offset = 0;
  let eventCount = 0;
  let rows = 0;
  try {
    for (const { producer, head, request } of taken) {
      producers.push(decodeStoredProducer(producer.encoded));
      requests.push({
        ...head,
        producerIndex: producers.length - 1,
        start: offset,
        end: offset + request.length,
      });
      offset += request.length;
      eventCount += head.eventCount;
      rows += head.eventCount - head.rejections.length;
    }
    const segment = {
      id: '019343f2-5d00-7000-8000-000000000001',
      bytes: Buffer.concat(taken.map(({ request }) => request)),
      producers,
      requests,
      eventCount,
    };
    const block = encoder.encode(segment);
    JSON.stringify([producerRows(segment, () => false), lossRows(segment)]);
    if (block.rows !== rows) return `a block has ${block.rows} rows; ${rows} events were accepted`;
    return findAltered(segment);
  } catch (error) {
    return `what was accepted cannot be encoded: ${String((error as Error).stack)}`;
  }
}

/** An event that reads otherwise, as the log's index gives it, than its request does. */
function findAltered(segment: SegmentContents): string | undefined {
  const index = new SegmentIndex();
  index.scan(segment);
  const events = segment.requests.map(({ start, end }) => {
    const request = readRequest(segment.bytes.subarray(start, end));
    return new Map(
      sequencesOf(request).map((sequence, at) => [Number(sequence), request.events[at] as ReferenceEvent]),
    );
  });
  for (let entry = 0; entry < index.entries; entry++) {
    const sequence = index.sequences[entry] as number;
    const wanted = events[index.requests[entry] as number]?.get(sequence);
    const found = readEvent(index.eventBytes(entry));
    if (wanted === undefined || asText(found) !== asText(wanted))
      return `number ${sequence} reads ${asText(found)}, and is ${wanted && asText(wanted)}`;
  }
  return undefined;
}

function asText(event: ReferenceEvent): string {
  const { timeUnixNano, step, metrics, attributes, ...rest } = event;
  return JSON.stringify([String(timeUnixNano), String(step), [...metrics], [...attributes], rest]);
}
