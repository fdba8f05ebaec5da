import type { EventWriter } from '../encode/event-writer.js';
import { internalLimits } from '../limits.js';
import { DraftLosses } from './draft-losses.js';
import type { OpenDraft, SealedDraft } from './event-encoder.js';
import { assemble, type FrozenRequest, frozenRequest, requestPrefix } from './frozen-request.js';
import { appendLoss, type LossRange, type LossReason } from './loss.js';
import { Tally } from './tally.js';

const evicted = 0;

/**
 * A draft of `Event` entries: where their bytes are, and which numbers between them were lost. While it is open, the
 * bytes are the writer's.
 */
export class RowDraft implements OpenDraft, SealedDraft {
  readonly first: number;
  readonly openedMs: number;
  readonly tally = new Tally();
  /** Every byte is an event's. */
  readonly overhead = 0;

  /** The events' bytes begin at `base`; for the open draft they are the writer's. */
  #bytes: Buffer;
  readonly #base: number;
  readonly #writer: EventWriter;
  readonly #producer: Uint8Array;
  /** Numbers in its range: events, evicted events and losses. */
  #count = 0;
  #events = 0;
  #ends: Uint32Array;
  #severities: Uint8Array;
  readonly #losses = new DraftLosses();
  #evictedBytes = 0;
  #evictedMs = 0;
  /** From where to look backwards for the newest event of each severity. */
  readonly #newest = new Int32Array(25).fill(-1);

  constructor(parts: {
    first: number;
    openedMs: number;
    writer: EventWriter;
    /** Where it is sealed into; absent: open. */
    sealed?: { bytes: Buffer; base: number; capacity: number; producer: Uint8Array };
  }) {
    this.first = parts.first;
    this.openedMs = parts.openedMs;
    this.#writer = parts.writer;
    this.#bytes = parts.sealed?.bytes ?? parts.writer.bytes;
    this.#base = parts.sealed?.base ?? 0;
    this.#producer = parts.sealed?.producer ?? new Uint8Array(0);
    const capacity = parts.sealed?.capacity ?? 64;
    this.#ends = new Uint32Array(capacity);
    this.#severities = new Uint8Array(capacity);
  }

  add(severity: number): void {
    const { end, committed } = this.#writer;
    this.#add(severity, end - committed, end);
    this.#writer.committed = end;
  }

  lose(reason: LossReason, count: number, timeMs: number): void {
    this.#count += count;
    this.#losses.add(this.#events, reason, count, timeMs);
  }

  isFull(requestBytes: number): boolean {
    return this.#writer.committed >= requestBytes;
  }

  evictNewest(severity: number, timeMs: number): number {
    let index = this.#newest[severity]!;
    while (this.#severities[index] !== severity) index--;
    this.#severities[index] = evicted;
    this.#newest[severity] = index - 1;
    const size = this.#ends[index]! - (index === 0 ? 0 : this.#ends[index - 1]!);
    this.tally.remove(severity, size);
    this.#evictedBytes += size;
    if (this.#evictedMs === 0) this.#evictedMs = timeMs;
    return size;
  }

  /** Moves it out of the writer's buffer, with its prefix in front. */
  seal(producer: Uint8Array): SealedDraft {
    this.#bytes = this.#writer.bytes;
    const sealed = this.#rewritten(producer);
    this.#writer.committed = 0;
    return sealed;
  }

  compact(): SealedDraft {
    if (this.#evictedBytes <= this.#bytes.length * internalLimits.compactionShare) return this;
    return this.#rewritten(this.#producer);
  }

  freeze(): FrozenRequest[] {
    if (this.#evictedBytes > 0) return this.#rewritten(this.#producer).freeze();
    const producer = this.#producer;
    if (this.#losses.list.length > 0) return assemble(this.first, this.#parts(), producer);
    const { events } = this.tally;
    // The draft was laid out with the prefix in front, so its bytes are the request.
    return [
      frozenRequest({
        first: this.first,
        count: this.#count,
        events,
        losses: [],
        bytes: this.#bytes,
        producer,
      }),
    ];
  }

  #add(severity: number, size: number, end: number): void {
    if (this.#events === this.#ends.length) this.#grow();
    this.#ends[this.#events] = end;
    this.#severities[this.#events] = severity;
    this.#newest[severity] = this.#events++;
    this.#count++;
    this.tally.add(severity, size);
  }

  /** The same range with its live events only, in bytes of its own behind the prefix. */
  #rewritten(producer: Uint8Array): RowDraft {
    const prefix = requestPrefix(producer, this.first);
    const base = prefix.length;
    const bytes = Buffer.allocUnsafeSlow(base + this.tally.bytes);
    bytes.set(prefix);
    const { first, openedMs } = this;
    const capacity = this.tally.events;
    const sealed = { bytes, base, capacity, producer };
    const draft = new RowDraft({ first, openedMs, writer: this.#writer, sealed });
    const losses = this.#losses.list;
    let lossIndex = 0;
    let start = 0;
    let copied = 0;
    for (let index = 0; index <= this.#events; index++) {
      while (losses[lossIndex]?.at === index) {
        const loss = losses[lossIndex++]!;
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
        draft.#add(severity, end - start, draft.tally.bytes + end - start);
      }
      start = end;
    }
    this.#copyRun(draft, copied, start);
    return draft;
  }

  /** Copies a run of live events, which `draft` already counts, to where they end there. */
  #copyRun(draft: RowDraft, from: number, to: number): void {
    if (to <= from) return;
    const end = draft.#base + draft.tally.bytes;
    this.#bytes.copy(draft.#bytes, end - (to - from), this.#base + from, this.#base + to);
  }

  /** Ranges and the bytes between them, for a draft without evicted events, in order. */
  *#parts(): Generator<LossRange | { events: number; bytes: Buffer }> {
    let done = 0;
    let sequence = this.first;
    const ranges: LossRange[] = [];
    for (const loss of this.#losses.list) {
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

  #run(from: number, to: number): { events: number; bytes: Buffer } {
    const start = this.#base + (from === 0 ? 0 : this.#ends[from - 1]!);
    return { events: to - from, bytes: this.#bytes.subarray(start, this.#base + this.#ends[to - 1]!) };
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
