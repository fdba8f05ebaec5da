/**
 * What the store has: the rows of each batch once, by the batch's id, and the ledger. It looks at each
 * row as it comes: is it what its producer logged, and is it the first with its number?
 */
import { encodeBlockEvent } from '@sluice/collector/encode/event-of-block.js';
import { BlockView, readBlock } from '@sluice/collector/event-block.js';
import { messageLimits } from '@sluice/collector/limits.js';
import { readLosses } from '@sluice/collector/losses.js';
import { Cursor } from '@sluice/collector/protobuf.js';
import type { Damage, SegmentContents } from '@sluice/collector/record.js';
import { eventOf } from './formula.js';

export interface LedgerRange {
  readonly first: number;
  readonly last: number;
  readonly origin: 'producer' | 'rejected' | 'damaged';
}

interface Batch {
  readonly ranges: string;
  readonly isDamaged: boolean;
}

export interface PreparedBatch {
  readonly id: string;
  readonly rows: readonly {
    readonly producer: number;
    readonly sequence: number;
    readonly isRight: boolean;
  }[];
  readonly ledger: readonly { readonly producer: number; readonly range: LedgerRange }[];
  readonly damage: Damage | undefined;
  /** What it holds, as text: a batch may not change between tries. */
  readonly ranges: string;
}

export class ModelStore {
  readonly #batches = new Map<string, Batch>();
  /** Numbers stored, by producer. */
  readonly rows = new Map<number, Set<number>>();
  readonly ledger = new Map<number, LedgerRange[]>();
  stored = 0;
  duplicated = 0;
  altered = 0;
  /** Segments reported as damaged, and those of them of which nobody knows what they held. */
  readonly damaged = new Map<string, Damage>();
  vague = 0;
  readonly violations: string[] = [];

  has(id: string): boolean {
    return this.#batches.has(id);
  }

  wasDamaged(id: string): boolean {
    return this.#batches.get(id)?.isDamaged ?? false;
  }

  /** Stores a batch unless it is there. */
  insert(batch: PreparedBatch): void {
    const earlier = this.#batches.get(batch.id);
    if (earlier !== undefined) {
      if (batch.damage === undefined && !earlier.isDamaged && earlier.ranges !== batch.ranges) {
        this.violations.push(`batch ${batch.id} held ${earlier.ranges} and now holds ${batch.ranges}`);
      }
      return;
    }
    this.#batches.set(batch.id, { ranges: batch.ranges, isDamaged: batch.damage !== undefined });
    for (const { producer, sequence, isRight } of batch.rows) {
      const numbers = this.rows.get(producer) ?? new Set();
      this.rows.set(producer, numbers);
      this.stored++;
      if (!isRight) this.altered++;
      if (numbers.has(sequence)) this.duplicated++;
      numbers.add(sequence);
    }
    for (const { producer, range } of batch.ledger) {
      const ranges = this.ledger.get(producer) ?? [];
      ranges.push(range);
      this.ledger.set(producer, ranges);
    }
    if (batch.damage !== undefined) {
      this.damaged.set(batch.id, batch.damage);
      if (batch.damage.problem.includes('nobody can tell')) this.vague++;
    }
  }
}

const numberOf = (id: Buffer): number => id.readUInt32BE(12);

/** What a segment brings, free of its bytes. */
export function prepareBatch(segment: SegmentContents, damage: Damage | undefined): PreparedBatch {
  const rows: PreparedBatch['rows'][number][] = [];
  const ledger: PreparedBatch['ledger'][number][] = [];
  const ranges: string[] = [];
  for (const request of segment.requests) {
    const producer = numberOf((segment.producers[request.producerIndex] as { id: Buffer }).id);
    ranges.push(`${producer}:${request.firstSequence}-${request.lastSequence}`);
    const bytes = segment.bytes.subarray(request.start, request.end);
    const losses = readLosses(bytes, messageLimits);
    const rejected = new Set(request.rejections.map(({ sequence }) => sequence));
    for (const sequence of rejected) {
      ledger.push({ producer, range: { first: sequence, last: sequence, origin: 'rejected' } });
    }
    for (const { firstSequence, count } of losses) {
      const last = firstSequence + count - 1;
      ledger.push({ producer, range: { first: firstSequence, last, origin: 'producer' } });
    }
    for (const { sequence, event } of rowsOfBlocks(bytes)) {
      const number = request.firstSequence + sequence;
      if (!rejected.has(number))
        rows.push({ producer, sequence: number, isRight: event.equals(eventOf(producer, number)) });
    }
    let sequence = request.firstSequence;
    let nextLoss = 0;
    for (const event of eventsIn(bytes)) {
      while (losses[nextLoss]?.firstSequence === sequence) sequence += losses[nextLoss++]?.count ?? 0;
      if (!rejected.has(sequence)) {
        rows.push({ producer, sequence, isRight: event.equals(eventOf(producer, sequence)) });
      }
      sequence++;
    }
  }
  for (const { producerId, firstSequence, lastSequence } of damage?.ranges ?? []) {
    const range = { first: firstSequence, last: lastSequence, origin: 'damaged' } as const;
    ledger.push({ producer: numberOf(producerId), range });
  }
  return { id: segment.id, rows, ledger, damage, ranges: ranges.join(' ') };
}

function* eventsIn(bytes: Buffer): Generator<Buffer> {
  const cursor = new Cursor();
  cursor.reset(bytes, 0, bytes.length);
  while (cursor.position < bytes.length) {
    const tag = cursor.tag();
    if (tag === 0x1a) {
      cursor.bytes();
      yield bytes.subarray(cursor.fieldStart, cursor.fieldEnd);
    } else cursor.skip(tag);
  }
}

/** The rows of the blocks of a request, as the events that they are; their numbers from the request's first on. */
function* rowsOfBlocks(bytes: Buffer): Generator<{ sequence: number; event: Buffer }> {
  const cursor = new Cursor();
  cursor.reset(bytes, 0, bytes.length);
  while (cursor.position < bytes.length) {
    const tag = cursor.tag();
    if (tag !== 0x22) {
      cursor.skip(tag);
      continue;
    }
    cursor.bytes();
    const block = new BlockView(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
    const problem = readBlock(block, cursor.fieldStart, cursor.fieldEnd);
    if (problem !== '') throw new Error(problem);
    for (let row = 0; row < block.count; row++)
      yield { sequence: block.offsetAt(row), event: encodeBlockEvent(block, row) };
  }
}
