import { internalLimits } from '../limits.js';
import { appendLoss, type LossRange } from './loss.js';

/**
 * The last ranges of losses that were acknowledged, ascending, in case the collector loses them again: they are
 * counted as lost already. Of more than `releasedLossRanges` the oldest are forgotten.
 */
export class ReleasedLosses {
  readonly #ranges: LossRange[] = [];

  /** Remembers ranges that follow all others. */
  add(losses: readonly LossRange[]): void {
    for (const loss of losses) appendLoss(this.#ranges, loss);
    const over = this.#ranges.length - internalLimits.releasedLossRanges;
    if (over > 0) this.#ranges.splice(0, over);
  }

  /** Forgets the numbers from `first` on, and returns their ranges, ascending. */
  takeFrom(first: number): LossRange[] {
    const from = this.#ranges.findIndex((range) => range.first + range.count > first);
    if (from < 0) return [];
    const taken = this.#ranges.splice(from);
    const divided = taken[0]!;
    const before = first - divided.first;
    if (before > 0) {
      this.#ranges.push({ ...divided, count: before });
      taken[0] = { ...divided, first, count: divided.count - before };
    }
    return taken;
  }
}
