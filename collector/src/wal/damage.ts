/**
 * What a damaged segment cannot give back. Pure functions.
 *
 * A segment's first frames tell, for each producer, where it stood when that segment was opened and when
 * the one before it was. So what a segment held stands in its successor, whatever is left of itself.
 */
import type { Damage, DamagedRange } from '../record.js';
import type { DurableSnapshot } from './frame.js';
import type { SegmentReading } from './segment-reader.js';

/** The numbers from `after` + 1 to `last` of one producer, by its id as latin1 text. */
export type HeldNumbers = ReadonlyMap<string, { readonly after: number; readonly last: number }>;

/** A younger segment, in the order of their names, with its first frames if they can be read. */
export interface YoungerSegment {
  readonly id: string;
  readonly durable: DurableSnapshot | undefined;
}

/**
 * What a segment held. `nothing`: no successor speaks of it, as of a segment that was left empty.
 * `unknown`: those that could tell are damaged too, or gone.
 */
export type Held =
  | { readonly kind: 'known'; readonly numbers: HeldNumbers }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unknown' };

/** @param younger the files behind it, oldest first, up to the first with sound first frames */
export function heldBy(id: string, reading: SegmentReading, younger: readonly YoungerSegment[]): Held {
  const [next] = younger;
  const teller = younger.find(({ durable }) => durable !== undefined)?.durable;
  if (teller === undefined) return { kind: 'unknown' };
  if (teller.previousId === id) return { kind: 'known', numbers: numbersIn(teller) };
  if (teller.previousId < id) return { kind: 'nothing' };
  // The one behind it lost its own first frames, but the next but one tells how that began.
  if (next !== undefined && teller.previousId === next.id && reading.opened) {
    return { kind: 'known', numbers: numbersBetween(reading, teller) };
  }
  return { kind: 'unknown' };
}

function numbersIn({ entries }: DurableSnapshot): HeldNumbers {
  return new Map(
    entries.map(({ key, previousSequence, sequence }) => [key, { after: previousSequence, last: sequence }]),
  );
}

function numbersBetween({ durable, producers }: SegmentReading, teller: DurableSnapshot): HeldNumbers {
  const starts = new Map<string, number>();
  for (const { identity, baseSequence } of producers) {
    const key = identity.toString('latin1', 0, 16);
    if (!starts.has(key)) starts.set(key, baseSequence);
  }
  for (const { key, sequence } of durable.entries) starts.set(key, sequence);
  const numbers = new Map<string, { after: number; last: number }>();
  for (const { key, previousSequence, hasJumped } of teller.entries) {
    // Of a producer that is new here nobody knows where it started, of one that has jumped where it ended.
    const after = starts.get(key);
    if (after !== undefined && hasJumped !== true) numbers.set(key, { after, last: previousSequence });
  }
  return numbers;
}

/** What was held and is not among the requests that were read. */
export function missingRanges(held: HeldNumbers, reading: SegmentReading): DamagedRange[] {
  const read = new Map<string, { first: number; last: number }[]>();
  for (const { producerIndex, firstSequence, lastSequence } of reading.requests) {
    const producer = reading.producers[producerIndex];
    if (producer === undefined) continue;
    const key = producer.identity.toString('latin1', 0, 16);
    const ranges = read.get(key) ?? [];
    ranges.push({ first: firstSequence, last: lastSequence });
    read.set(key, ranges);
  }
  const missing: DamagedRange[] = [];
  for (const [key, { after, last }] of [...held].sort(([a], [b]) => (a < b ? -1 : 1))) {
    let next = after + 1;
    // Requests of one producer ascend in a segment.
    for (const range of read.get(key) ?? []) {
      if (range.first > next) missing.push(damagedRange(key, next, Math.min(range.first - 1, last)));
      next = Math.max(next, range.last + 1);
    }
    if (next <= last) missing.push(damagedRange(key, next, last));
  }
  return missing;
}

function damagedRange(key: string, firstSequence: number, lastSequence: number): DamagedRange {
  return { producerId: Buffer.from(key, 'latin1'), firstSequence, lastSequence };
}

/** What to report of a segment that is not whole; undefined if it was left empty and nothing is missing. */
export function damageOf(
  id: string,
  reading: SegmentReading,
  younger: readonly YoungerSegment[],
): Damage | undefined {
  const held = heldBy(id, reading, younger);
  if (held.kind !== 'known' && isLeftEmpty(reading, held)) return undefined;
  const problem = problemOf(reading);
  if (held.kind !== 'known') {
    return {
      problem: `${problem}; nobody can tell what it held, because the file behind it cannot be read either or is gone`,
      ranges: [],
    };
  }
  return { problem, ranges: missingRanges(held.numbers, reading) };
}

/** Whether the log opened it and never used it. A removal that failed, or was undone, leaves such a file. */
function isLeftEmpty(reading: SegmentReading, held: Held): boolean {
  if (reading.requests.length > 0) return false;
  return held.kind === 'nothing' || (reading.opened && reading.brokenBytes + reading.unreadBytes === 0);
}

function problemOf({ opened, sealed, brokenBytes, soundBytes, unreadBytes }: SegmentReading): string {
  if (!opened && soundBytes === 0) return 'it cannot be read at all';
  const broken = `${brokenBytes} bytes of it do not pass their checksums`;
  if (sealed) return broken;
  const tail =
    unreadBytes === 0
      ? `it ends at byte ${soundBytes} without its seal`
      : `${unreadBytes} bytes behind byte ${soundBytes} do not pass their checksums`;
  return brokenBytes === 0 ? tail : `${broken}, and ${tail}`;
}
