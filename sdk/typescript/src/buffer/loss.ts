import { lossReasons } from '@sluice/proto';

/** Why an event was not delivered; the words of the tables. */
export type LossReason = 'buffer_full' | 'too_large' | 'closed' | 'encoding' | 'refused' | 'spool_damaged';

/** Sequence numbers without an event. */
export interface LossRange {
  readonly first: number;
  readonly count: number;
  readonly reason: LossReason;
  /** When the first of them was dropped, milliseconds since 1970. */
  readonly timeMs: number;
}

/** The number on the wire. */
export function lossReasonNumber(reason: LossReason): number {
  return lossReasons.indexOf(reason);
}

/** Appends a range, or lengthens the last one if it continues it. */
export function appendLoss(ranges: LossRange[], range: LossRange): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.reason === range.reason && last.first + last.count === range.first) {
    ranges[ranges.length - 1] = { ...last, count: last.count + range.count };
  } else {
    ranges.push(range);
  }
}

/** How many of the numbers from `first` to `last` lie in the ranges. */
export function countLost(ranges: readonly LossRange[], first: number, last: number): number {
  let lost = 0;
  for (const range of ranges) {
    const from = Math.max(range.first, first);
    const to = Math.min(range.first + range.count - 1, last);
    if (to >= from) lost += to - from + 1;
  }
  return lost;
}
