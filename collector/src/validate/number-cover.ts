/**
 * Whether the events of blocks and the losses take each number of a request once.
 *
 * An event is counted by its place among the events, which is its offset without the lost numbers before
 * it: so there are as many places as events, however many numbers were lost.
 */
import { areDeltas, walkDeltas } from '../deltas.js';
import type { Loss } from '../record.js';
import { wrongCount } from './scan-block.js';

/** Of a block: where the differences of its offsets lie, and how many there are. */
export interface BlockNumbers {
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

/** Marks of the places that are taken; kept, because a request is looked at at a time. */
let marks = new Uint8Array(16_384);

/** What is wrong with the numbers, or nothing. `losses` ascend without overlap. */
export function findNumberProblem(
  bytes: Buffer,
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
        ? markOffsets(bytes, block, eventCount)
        : markBetweenLosses(bytes, block, { ...request, lostBefore });
    if (problem !== '') return problem;
  }
  for (let place = 0; place < eventCount; place++) taken += marks[place] as number;
  if (taken === eventCount) return '';
  return `two events of the request have the same sequence: ${eventCount} events take ${taken} numbers`;
}

function markOffsets(bytes: Buffer, block: BlockNumbers, eventCount: number): string {
  const { start, end, count } = block;
  // As SDKs send them: a byte each, which is all that there is to look at.
  if (end - start === count && areDeltas(bytes, start, end, count, 1)) {
    let offset = bytes[start] as number;
    let least = 1;
    if (offset < eventCount) marks[offset] = 1;
    for (let at = start + 1; at < end; at++) {
      const difference = bytes[at] as number;
      if (difference < least) least = 0;
      offset += difference;
      // Beyond the places it marks nothing, and the last offset tells.
      if (offset < eventCount) marks[offset] = 1;
    }
    if (least === 1 && offset < eventCount) return '';
  }
  let before = -1;
  let problem = '';
  const isWhole = walkDeltas({ bytes, ...block, isSigned: false }, (halves, rows) => {
    for (let at = 0; at < rows * 2; at += 2) {
      const offset = halves[at] as number;
      if (halves[at + 1] !== 0 || offset <= before || offset >= eventCount) {
        problem = wrongOffset(before, halves, at, eventCount);
        return false;
      }
      marks[offset] = 1;
      before = offset;
    }
    return true;
  });
  return problem === '' && !isWhole ? wrongCount('sequence_delta', count) : problem;
}

function markBetweenLosses(
  bytes: Buffer,
  block: BlockNumbers,
  request: Parameters<typeof findNumberProblem>[2] & { lostBefore: Float64Array },
): string {
  const { losses, firstSequence, eventCount, lostBefore } = request;
  let before = -1;
  let loss = 0;
  let lost = 0;
  let problem = '';
  const isWhole = walkDeltas({ bytes, ...block, isSigned: false }, (halves, rows, firstRow) => {
    if (firstRow === 0) {
      // Not from the first loss on: each of many blocks may lie behind many of them.
      loss = lossesBefore(losses, firstSequence + (halves[0] as number));
      lost = lostBefore[loss] as number;
    }
    for (let at = 0; at < rows * 2; at += 2) {
      const offset = halves[at] as number;
      if (halves[at + 1] !== 0 || offset <= before) {
        problem = wrongOffset(before, halves, at, eventCount + lost);
        return false;
      }
      const sequence = firstSequence + offset;
      for (
        let next = losses[loss];
        next !== undefined && next.firstSequence <= sequence;
        next = losses[loss]
      ) {
        if (sequence < next.firstSequence + next.count) {
          problem = `sequence ${sequence} is an event of a block and lies in a loss`;
          return false;
        }
        lost += next.count;
        loss++;
      }
      const place = offset - lost;
      if (place >= eventCount) {
        problem = wrongOffset(before, halves, at, eventCount + lost);
        return false;
      }
      marks[place] = 1;
      before = offset;
    }
    return true;
  });
  return problem === '' && !isWhole ? wrongCount('sequence_delta', block.count) : problem;
}

/** What is wrong with the offset whose halves stand at `at`: it does not ascend, or is none of the request's. */
function wrongOffset(before: number, halves: Uint32Array, at: number, numbers: number): string {
  const offset = (halves[at] as number) + (halves[at + 1] as number) * 4294967296;
  if (offset <= before)
    return `a block has two events with offset ${offset}; a sequence_delta must be at least 1`;
  return `a block has an event with offset ${offset}; the request's numbers end at offset ${numbers - 1}`;
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
