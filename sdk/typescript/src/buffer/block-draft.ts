import { internalLimits } from '../limits.js';
import type { BlockEncoder } from './block-encoder.js';
import { DraftLosses } from './draft-losses.js';
import type { OpenDraft, SealedDraft } from './event-encoder.js';
import { EvictionIndex } from './eviction-index.js';
import type { LossReason } from './loss.js';
import type { RequestMemory } from './request-memory.js';
import { SealedBlocks, withoutEvicted } from './sealed-blocks.js';
import { Tally } from './tally.js';

/** The open draft of blocks. Its events are in the encoder's columns. */
export class BlockDraft implements OpenDraft {
  readonly first: number;
  readonly openedMs: number;
  readonly tally = new Tally();
  overhead = 0;

  readonly #encoder: BlockEncoder;
  /** Numbers in its range: events, evicted events and losses. */
  #count = 0;
  #events = 0;
  /** Bytes of its events, evicted ones included, because the columns hold these too. */
  #eventBytes = 0;
  readonly #losses = new DraftLosses();
  #index: EvictionIndex | undefined;
  #evictedMs = 0;

  constructor(parts: { first: number; openedMs: number; encoder: BlockEncoder }) {
    this.first = parts.first;
    this.openedMs = parts.openedMs;
    this.#encoder = parts.encoder;
  }

  add(severity: number): void {
    const { size, overhead } = this.#encoder;
    const offset = this.#count++;
    this.#encoder.keep(severity, offset);
    this.#index?.add(offset, severity, size);
    this.#events++;
    this.#eventBytes += size;
    this.overhead += overhead;
    this.tally.add(severity, size);
  }

  lose(reason: LossReason, count: number, timeMs: number): void {
    this.#count += count;
    this.#losses.add(this.#events, reason, count, timeMs);
  }

  isFull(requestBytes: number): boolean {
    return (
      this.#eventBytes + this.overhead >= requestBytes ||
      this.#encoder.used.length >= internalLimits.shapesPerRequest ||
      this.#count >= internalLimits.numbersPerRequest
    );
  }

  evictNewest(severity: number, timeMs: number): number {
    this.#index ??= new EvictionIndex(this.#blocks());
    if (this.#evictedMs === 0) this.#evictedMs = timeMs;
    const size = this.#index.evictNewest(severity);
    this.tally.remove(severity, size);
    return size;
  }

  seal(producer: Uint8Array, memory: RequestMemory): SealedDraft {
    const content = { blocks: this.#blocks(), losses: this.#losses.ranges(this.first) };
    const place = { first: this.first, count: this.#count, openedMs: this.openedMs, tally: this.tally };
    const evicted = this.#index?.evicted() ?? [];
    const live =
      evicted.length === 0 ? content : withoutEvicted(content, this.first, evicted, this.#evictedMs);
    const sealed = new SealedBlocks({ ...place, ...live, producer, memory });
    this.#encoder.discard();
    return sealed;
  }

  #blocks() {
    return this.#encoder.used.map((columns) => columns.block());
  }
}
