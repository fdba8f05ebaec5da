/**
 * Whether the events of blocks and the losses take each number of a request once.
 *
 * An event is counted by its place among the events, which is its offset without the lost numbers before
 * it: so there are as many places as events, however many numbers were lost.
 */
import type { Loss } from '../record.js';

/** Of a block: where its offsets begin, and how many there are. */
export interface BlockNumbers {
  readonly offsets: number;
  readonly count: number;
}

/** Marks of the places that are taken; kept, because a request is looked at at a time. */
let marks = new Uint8Array(16_384);

/** What is wrong with the numbers, or nothing. `losses` ascend without overlap. */
export function findNumberProblem(
  view: DataView,
  blocks: readonly BlockNumbers[],
  request: { losses: readonly Loss[]; firstSequence: number; eventCount: number },
): string {
  const { losses, eventCount } = request;
  if (marks.length < eventCount) marks = new Uint8Array(eventCount);
  else marks.fill(0, 0, eventCount);
  let taken = 0;
  const lostBefore = sumsOf(losses);
  for (const block of blocks) {
    const problem =
      losses.length === 0
        ? markOffsets(view, block, eventCount)
        : markBetweenLosses(view, block, { ...request, lostBefore });
    if (problem !== '') return problem;
  }
  for (let place = 0; place < eventCount; place++) taken += marks[place] as number;
  if (taken === eventCount) return '';
  return `two events of the request have the same sequence: ${eventCount} events take ${taken} numbers`;
}

function markOffsets(view: DataView, { offsets, count }: BlockNumbers, eventCount: number): string {
  let before = -1;
  for (let row = 0; row < count; row++) {
    const offset = view.getUint32(offsets + row * 4, true);
    if (offset <= before) return descending(before, offset);
    if (offset >= eventCount) return beyond(offset, eventCount);
    marks[offset] = 1;
    before = offset;
  }
  return '';
}

function markBetweenLosses(
  view: DataView,
  { offsets, count }: BlockNumbers,
  request: Parameters<typeof findNumberProblem>[2] & { lostBefore: Float64Array },
): string {
  const { losses, firstSequence, eventCount, lostBefore } = request;
  let before = -1;
  // Not from the first loss on: each of many blocks may lie behind many of them.
  let loss = lossesBefore(losses, firstSequence + view.getUint32(offsets, true));
  let lost = lostBefore[loss] as number;
  for (let row = 0; row < count; row++) {
    const offset = view.getUint32(offsets + row * 4, true);
    if (offset <= before) return descending(before, offset);
    const sequence = firstSequence + offset;
    for (let next = losses[loss]; next !== undefined && next.firstSequence <= sequence; next = losses[loss]) {
      if (sequence < next.firstSequence + next.count) {
        return `sequence ${sequence} is an event of a block and lies in a loss`;
      }
      lost += next.count;
      loss++;
    }
    const place = offset - lost;
    if (place >= eventCount) return beyond(offset, eventCount + lost);
    marks[place] = 1;
    before = offset;
  }
  return '';
}

/** How many numbers the losses before each one cover. */
function sumsOf(losses: readonly Loss[]): Float64Array {
  const sums = new Float64Array(losses.length + 1);
  for (const [at, { count }] of losses.entries()) sums[at + 1] = (sums[at] as number) + count;
  return sums;
}

/** How many losses end before a number. */
function lossesBefore(losses: readonly Loss[], sequence: number): number {
  let from = 0;
  let to = losses.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    const { firstSequence, count } = losses[middle] as Loss;
    if (firstSequence + count <= sequence) from = middle + 1;
    else to = middle;
  }
  return from;
}

function descending(before: number, offset: number): string {
  return `a block has sequence_offset ${offset} behind ${before}; they must ascend`;
}

function beyond(offset: number, numbers: number): string {
  return `a block has sequence_offset ${offset}; the request's numbers end at offset ${numbers - 1}`;
}
