/**
 * Malformed requests against the door itself, in this process: what it accepts must mean what the
 * reference reads, must be encoded, and nothing may throw or hang.
 */

import { SegmentEncoder } from '@sluice/collector/encode/encode-segment.js';
import { lossRows, producerRows } from '@sluice/collector/encode/ledger-rows.js';
import { messageLimits } from '@sluice/collector/limits.js';
import { CallIntake } from '@sluice/collector/receive/intake.js';
import type { Producer, RequestRecord } from '@sluice/collector/record.js';
import { decodeStoredProducer } from '@sluice/collector/validate/decode-producer.js';
import type { WriteAheadLog } from '@sluice/collector/wal/log.js';
import type { Random } from '../random.js';
import { makeMessages, messageKinds } from './mutations.js';
import { producerIdOf, readRequest, sequencesOf } from './reference.js';

export interface FuzzResult {
  readonly inputs: number;
  readonly accepted: number;
  readonly events: number;
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

export function fuzz(random: Random, inputs: number): FuzzResult {
  const violations: string[] = [];
  const encoder = new SegmentEncoder();
  let pending: Appended[] = [];
  let accepted = 0;
  let events = 0;
  const cheap = messageKinds.filter((kind) => kind !== 'too-many-rejections');
  const encode = (): void => {
    if (pending.length === 0) return;
    const problem = encodeAll(encoder, pending);
    if (problem !== undefined) violations.push(problem);
    pending = [];
  };
  for (let input = 0; input < inputs; input++) {
    const kind = input % 5000 === 0 ? 'too-many-rejections' : (cheap[input % cheap.length] as string);
    const { messages } = makeMessages(kind, random);
    const log = new TakingLog();
    const intake = new CallIntake(log as unknown as WriteAheadLog, messageLimits, () => 1_700_000_000_000);
    for (const message of messages) {
      const before = Buffer.from(message);
      const startMs = performance.now();
      try {
        const refusal = intake.take(message);
        const taken = log.taken.at(-1);
        if (refusal === undefined && taken !== undefined && taken.request === message) {
          accepted++;
          events += taken.head.eventCount;
          const problem = differs(taken, message);
          if (problem !== undefined) violations.push(`${kind}, input ${input}: ${problem}: ${hex(before)}`);
          pending.push(taken);
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
  return { inputs, accepted, events, violations };
}

export function hex(bytes: Buffer): string {
  return `${bytes.toString('hex', 0, 200)}${bytes.length > 200 ? `… (${bytes.length} bytes)` : ''}`;
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
    return block.rows === rows ? undefined : `a block has ${block.rows} rows; ${rows} events were accepted`;
  } catch (error) {
    return `what was accepted cannot be encoded: ${String((error as Error).stack)}`;
  }
}
