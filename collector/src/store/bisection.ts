/**
 * Finds which events of a refused block are refused, and stores the others: the block is halved, and
 * each half inserted, until single events are left. Pure: what inserting means is the caller's.
 *
 * Invariants:
 * 1. A range is either stored as a whole by one insert, or its halves are looked at, or it is refused.
 *    So every event ends up in one stored range, in one refused range, or was covered before.
 * 2. Ranges are halves of halves of the block: another process that looks at the same one cuts it at the
 *    same places, and `covered` tells it what is done.
 * 3. All ranges of one size are tried before smaller ones, so that what the limit leaves over is spread
 *    evenly and small.
 * 4. Every insert counts against the limit; beyond it, what has not been stored is refused as it is.
 */
import type { EventRange, Refusal, RefusedRange } from '../record.js';

export type PartOutcome =
  | { readonly kind: 'stored' }
  | { readonly kind: 'refused'; readonly code: number; readonly message: string }
  | { readonly kind: 'stopped' };

export type BisectionOutcome =
  | {
      readonly kind: 'done';
      /** Ascending. Single events, unless the limit was reached. */
      readonly refused: readonly RefusedRange[];
      readonly inserts: number;
      /** Whether the limit was reached: refused ranges may hold events that would be taken. */
      readonly isCut: boolean;
    }
  | { readonly kind: 'stopped' };

export interface BisectionOptions {
  /** The refused block. */
  readonly within: EventRange;
  /** What is stored or in quarantine already. */
  readonly covered: RangeSet;
  /** Why the whole segment is refused; inherited by ranges that the limit leaves untried. */
  readonly refusal: Refusal;
  readonly inserts: number;
  /** Tries one range. */
  readonly insert: (range: EventRange) => Promise<PartOutcome>;
  /**
   * Asked once for all ranges of one size that were refused: what is in the table all the same, as when a
   * view behind it throws. Nothing if the process stops.
   */
  readonly confirm?: () => Promise<RangeSet | undefined>;
  /** Told which ranges may be inserted next, in this order. */
  readonly announce?: (ranges: readonly EventRange[]) => void;
  /** The planted bug: only the refused half of a refused block is looked after. */
  readonly forgetsOtherHalf?: boolean;
}

/** A range that is known to hold something that is refused, or was divided by an earlier process. */
type Node = RefusedRange;

export async function bisect(options: BisectionOptions): Promise<BisectionOutcome> {
  const { covered, insert } = options;
  let refused: RefusedRange[] = [];
  let inserts = 0;
  const whole = { ...options.within, refusal: options.refusal };
  let level: Node[] = covered.covers(whole) ? [] : [whole];
  let isCut = false;
  while (level.length > 0 && !isCut) {
    let next: Node[] = [];
    let hasRefused = false;
    const pairs = level.flatMap((node) => divide(node, refused));
    options.announce?.(pairs.flatMap((halves) => halves.filter((half) => !covered.touches(half))));
    for (const [place, [left, right]] of pairs.entries()) {
      let goodHalf = false;
      for (const half of [left, right]) {
        if (covered.covers(half)) continue;
        if (covered.touches(half)) {
          next.push(half);
          continue;
        }
        // The other half was taken and the two together were not: this one need not be asked.
        if (goodHalf && half.to - half.from > 1) {
          next.push(half);
          continue;
        }
        if (inserts >= options.inserts) {
          isCut = true;
          next.push(half);
          continue;
        }
        inserts++;
        const outcome = await insert(half);
        if (outcome.kind === 'stopped') return outcome;
        if (outcome.kind === 'stored') {
          goodHalf = half === left && !covered.touches(right);
          continue;
        }
        hasRefused = true;
        const refusal = { code: outcome.code, message: outcome.message };
        if (half.to - half.from > 1) next.push({ ...half, refusal });
        else refused.push({ ...half, refusal });
        if (options.forgetsOtherHalf === true) break;
      }
      if (isCut) {
        next.push(...pairs.slice(place + 1).flat());
        break;
      }
    }
    if (hasRefused && options.confirm !== undefined) {
      const stored = await options.confirm();
      if (stored === undefined) return { kind: 'stopped' };
      next = next.filter((node) => !stored.covers(node));
      refused = refused.filter((range) => !stored.covers(range));
    }
    level = next;
  }
  for (const { refusal, ...range } of level) {
    refused.push(...covered.without(range).map((rest) => ({ ...rest, refusal })));
  }
  refused.sort((a, b) => a.from - b.from);
  return { kind: 'done', refused, inserts, isCut };
}

/** The halves of a range; a single event has none and is refused. */
function divide({ from, to, refusal }: Node, refused: RefusedRange[]): [Node, Node][] {
  if (to - from < 2) {
    if (to > from) refused.push({ from, to, refusal });
    return [];
  }
  const middle = from + Math.floor((to - from) / 2);
  return [
    [
      { from, to: middle, refusal },
      { from: middle, to, refusal },
    ],
  ];
}

/** Ranges as a set of numbers. */
export class RangeSet {
  /** Ascending, neither overlapping nor touching each other. */
  readonly #ranges: EventRange[] = [];

  constructor(ranges: readonly EventRange[] = []) {
    for (const { from, to } of [...ranges].sort((a, b) => a.from - b.from)) {
      const last = this.#ranges.at(-1);
      if (last !== undefined && from <= last.to) {
        this.#ranges[this.#ranges.length - 1] = { from: last.from, to: Math.max(last.to, to) };
      } else if (to > from) this.#ranges.push({ from, to });
    }
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** How many numbers are in the set. */
  get size(): number {
    return this.#ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  covers({ from, to }: EventRange): boolean {
    const range = this.#ranges[this.#firstBehind(from)];
    return range !== undefined && range.from <= from && to <= range.to;
  }

  touches({ from, to }: EventRange): boolean {
    const range = this.#ranges[this.#firstBehind(from)];
    return range !== undefined && range.from < to;
  }

  /** What of a range is not in the set. */
  without({ from, to }: EventRange): EventRange[] {
    const rest: EventRange[] = [];
    let next = from;
    for (let index = this.#firstBehind(from); index < this.#ranges.length; index++) {
      const range = this.#ranges[index] as EventRange;
      if (range.from >= to) break;
      if (range.from > next) rest.push({ from: next, to: range.from });
      next = range.to;
    }
    if (next < to) rest.push({ from: next, to });
    return rest;
  }

  /** Index of the first range that ends behind `position`. */
  #firstBehind(position: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle] as EventRange).to <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
