import { internalLimits } from '../limits.js';
import { appendLoss, type LossRange, type LossReason } from './loss.js';
import { severities } from './tally.js';

/** Numbers that were used up without an event, between two events of a draft. */
export interface DraftLoss {
  /** Index of the event before which they lie; the number of events, if behind the last one. */
  readonly at: number;
  readonly reason: LossReason;
  count: number;
  readonly timeMs: number;
}

/** The losses of a draft, in order. */
export class DraftLosses {
  readonly list: DraftLoss[] = [];

  /**
   * Numbers that were used up before the event of an index. Bounded: once there are many, losses between the same
   * two events are counted together by reason, which keeps every count and gives up their order.
   */
  add(at: number, reason: LossReason, count: number, timeMs: number): void {
    const { list } = this;
    let index = list.length - 1;
    const reach = list.length < internalLimits.exactLossRanges ? 1 : severities;
    for (let step = 0; step < reach && index >= 0 && list[index]!.at === at; step++, index--) {
      const loss = list[index]!;
      if (loss.reason !== reason) continue;
      loss.count += count;
      return;
    }
    list.push({ at, reason, count, timeMs });
  }

  /** As ranges of a draft that begins at `first`. */
  ranges(first: number): LossRange[] {
    const ranges: LossRange[] = [];
    let lost = 0;
    for (const { at, reason, count, timeMs } of this.list) {
      appendLoss(ranges, { first: first + at + lost, reason, count, timeMs });
      lost += count;
    }
    return ranges;
  }
}
