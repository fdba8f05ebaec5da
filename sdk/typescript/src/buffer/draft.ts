import { internalLimits } from '../limits.js';
import { appendLoss, type LossRange, type LossReason } from './loss.js';

/** Numbers that were used up without an event, between two events of a draft. */
interface DraftLoss {
  /** Index of the event before which they lie; the number of events, if behind the last one. */
  readonly at: number;
  readonly reason: LossReason;
  count: number;
  readonly timeMs: number;
}

const severities = 25;
const evicted = 0;

/**
 * A request that is not frozen yet: which events it has, where their bytes are, and which numbers
 * between them were lost. Its events may still be evicted.
 */
export class Draft {
  /** The first number of its range. */
  first: number;
  /** Numbers in its range: events, evicted events and losses. */
  count = 0;
  /** Events that were not evicted, and their bytes. */
  liveEvents = 0;
  liveBytes = 0;
  evictedBytes = 0;
  /** When its first number was used, on the monotonic clock. */
  readonly openedMs: number;
  /** The events' bytes begin at `base`; for the open draft they are the writer's. */
  bytes: Buffer;
  readonly base: number;

  #events = 0;
  #ends: Uint32Array;
  #severities: Uint8Array;
  #losses: DraftLoss[] = [];
  #evictedMs = 0;
  /** Live events of each severity, and from where to look backwards for the newest one. */
  readonly #counts = new Uint32Array(severities);
  readonly #sizes = new Float64Array(severities);
  readonly #newest = new Int32Array(severities).fill(-1);

  constructor(place: { first: number; openedMs: number; bytes: Buffer; base: number; capacity?: number }) {
    this.first = place.first;
    this.openedMs = place.openedMs;
    this.bytes = place.bytes;
    this.base = place.base;
    this.#ends = new Uint32Array(place.capacity ?? 64);
    this.#severities = new Uint8Array(place.capacity ?? 64);
  }

  /** An event that ends at `end`, counted from the draft's base. */
  add(severity: number, size: number, end: number): void {
    if (this.#events === this.#ends.length) this.#grow();
    this.#ends[this.#events] = end;
    this.#severities[this.#events] = severity;
    this.#counts[severity]!++;
    this.#sizes[severity]! += size;
    this.#newest[severity] = this.#events++;
    this.count++;
    this.liveEvents++;
    this.liveBytes += size;
  }

  /**
   * Numbers that were used up behind the last event. Bounded: once there are many, losses between the same
   * two events are counted together by reason, which keeps every count and gives up their order.
   */
  lose(reason: LossReason, count: number, timeMs: number): void {
    this.count += count;
    const at = this.#events;
    let index = this.#losses.length - 1;
    const reach = this.#losses.length < internalLimits.exactLossRanges ? 1 : severities;
    for (let step = 0; step < reach && index >= 0 && this.#losses[index]!.at === at; step++, index--) {
      const loss = this.#losses[index]!;
      if (loss.reason !== reason) continue;
      loss.count += count;
      return;
    }
    this.#losses.push({ at, reason, count, timeMs });
  }

  countOf(severity: number): number {
    return this.#counts[severity]!;
  }

  bytesOf(severity: number): number {
    return this.#sizes[severity]!;
  }

  /** Drops the newest event of a severity, of which there must be one; returns its size. */
  evictNewest(severity: number, timeMs: number): number {
    let index = this.#newest[severity]!;
    while (this.#severities[index] !== severity) index--;
    this.#severities[index] = evicted;
    this.#newest[severity] = index - 1;
    this.#counts[severity]!--;
    const size = this.#ends[index]! - (index === 0 ? 0 : this.#ends[index - 1]!);
    this.#sizes[severity]! -= size;
    this.liveEvents--;
    this.liveBytes -= size;
    this.evictedBytes += size;
    if (this.#evictedMs === 0) this.#evictedMs = timeMs;
    return size;
  }

  /** The same range with its live events only, in bytes of its own behind `prefix`. */
  compact(prefix: Uint8Array): Draft {
    const bytes = Buffer.allocUnsafeSlow(prefix.length + this.liveBytes);
    bytes.set(prefix);
    const { first, openedMs } = this;
    const draft = new Draft({ first, openedMs, bytes, base: prefix.length, capacity: this.liveEvents });
    let lossIndex = 0;
    let start = 0;
    let copied = 0;
    for (let index = 0; index <= this.#events; index++) {
      while (this.#losses[lossIndex]?.at === index) {
        const loss = this.#losses[lossIndex++]!;
        draft.lose(loss.reason, loss.count, loss.timeMs);
      }
      if (index === this.#events) break;
      const end = this.#ends[index]!;
      const severity = this.#severities[index]!;
      if (severity === evicted) {
        this.#copyRun(draft, copied, start);
        copied = end;
        draft.lose('buffer_full', 1, this.#evictedMs);
      } else {
        draft.add(severity, end - start, draft.liveBytes + end - start);
      }
      start = end;
    }
    this.#copyRun(draft, copied, start);
    return draft;
  }

  /** Copies a run of live events, which `draft` already counts, to where they end there. */
  #copyRun(draft: Draft, from: number, to: number): void {
    if (to <= from) return;
    const end = draft.base + draft.liveBytes;
    this.bytes.copy(draft.bytes, end - (to - from), this.base + from, this.base + to);
  }

  /** Ranges and the bytes between them, for a draft without evicted events, in order. */
  *parts(): Generator<LossRange | { events: number; bytes: Buffer }> {
    let done = 0;
    let sequence = this.first;
    const ranges: LossRange[] = [];
    for (const loss of this.#losses) {
      if (loss.at > done) {
        yield* ranges.splice(0);
        yield this.#run(done, loss.at);
        sequence += loss.at - done;
        done = loss.at;
      }
      appendLoss(ranges, { first: sequence, count: loss.count, reason: loss.reason, timeMs: loss.timeMs });
      sequence += loss.count;
    }
    yield* ranges;
    if (this.#events > done) yield this.#run(done, this.#events);
  }

  get hasLosses(): boolean {
    return this.#losses.length > 0;
  }

  #run(from: number, to: number): { events: number; bytes: Buffer } {
    const start = this.base + (from === 0 ? 0 : this.#ends[from - 1]!);
    return { events: to - from, bytes: this.bytes.subarray(start, this.base + this.#ends[to - 1]!) };
  }

  #grow(): void {
    const capacity = Math.max(64, this.#ends.length * 2);
    const ends = new Uint32Array(capacity);
    ends.set(this.#ends);
    this.#ends = ends;
    const newSeverities = new Uint8Array(capacity);
    newSeverities.set(this.#severities);
    this.#severities = newSeverities;
  }
}
