import type { Clock } from '../clock.js';
import type { EventEncoder, OpenDraft, SealedDraft } from './event-encoder.js';
import type { FrozenRequest } from './frozen-request.js';
import { FrozenRequests } from './frozen-requests.js';
import type { LossReason } from './loss.js';
import { RequestMemory } from './request-memory.js';
import type { RequestSource } from './request-source.js';
import { severities, Tally } from './tally.js';

export interface RequestBufferSettings {
  readonly bufferBytes: number;
  readonly requestBytes: number;
}

/**
 * Everything that was logged and is not acknowledged, in the order of its numbers:
 * frozen requests, then sealed drafts, then the open draft, whose bytes are the encoder's.
 *
 * Invariants:
 * 1. Every number from the first one held to the last one used lies in exactly one of them.
 * 2. logged = acknowledged + dropped + bufferedEvents, always.
 * 3. The bytes of all events held are at most `bufferBytes`. Losses need no room in it: there are never
 *    more ranges than events between them, times the number of reasons.
 */
export class RequestBuffer extends FrozenRequests implements RequestSource {
  /** Numbers used up so far. */
  logged = 0;
  /** Bytes of events that may be held: `bufferBytes`, unless some of it is kept free for what is on the disk. */
  protected capacity: number;

  readonly #settings: RequestBufferSettings;
  readonly #encoder: EventEncoder;
  readonly #sealed: SealedDraft[] = [];
  #open: OpenDraft | undefined;
  /** Events in drafts, so that a full buffer decides without a search. */
  readonly #tally = new Tally();
  /** Bytes that drafts take beside their events. */
  #overhead = 0;
  /** No sealed draft behind this index has an event of the severity. Sealed drafts gain none, so it only falls. */
  readonly #newest = new Int32Array(severities);
  /** Index of the sealed draft that was evicted from last. */
  #evicting: number | undefined;

  /** What acknowledged requests leave for the next ones. */
  readonly #memory: RequestMemory;

  /** @param keptBytes how much memory of acknowledged requests is kept; none where others may refer to their bytes */
  constructor(
    settings: RequestBufferSettings,
    encoder: EventEncoder,
    producer: Uint8Array,
    clock: Clock,
    keptBytes = 0,
  ) {
    super(producer, clock);
    this.#memory = new RequestMemory(keptBytes);
    this.#settings = settings;
    this.capacity = settings.bufferBytes;
    this.#encoder = encoder;
  }

  /** True if an event of this severity would be dropped whatever its size, so that it need not be encoded. */
  isClosedTo(severity: number): boolean {
    // No event is smaller than its time, with a name or a number beside it.
    return this.bufferedBytes + 13 > this.capacity && severity <= this.#lowestSeverity();
  }

  /** Takes the event that the encoder wrote last. */
  add(severity: number): 'first' | 'kept' | 'sealed' | 'dropped' {
    const { size, overhead } = this.#encoder;
    const bytes = size + overhead;
    if (this.bufferedBytes + bytes > this.capacity && !this.#makeRoom(bytes, severity)) {
      this.drop('buffer_full');
      return 'dropped';
    }
    const isFirst = this.#open === undefined;
    const open = this.#open ?? this.#begin();
    open.add(severity);
    this.#tally.add(severity, size);
    this.#overhead += overhead;
    this.logged++;
    this.bufferedEvents++;
    this.bufferedBytes += bytes;
    if (!open.isFull(this.#settings.requestBytes)) return isFirst ? 'first' : 'kept';
    this.#seal();
    return 'sealed';
  }

  /** Uses up a number for an event that is not kept. */
  drop(reason: LossReason): void {
    const open = this.#open ?? this.#begin();
    open.lose(reason, 1, this.clock.wallMs());
    this.logged++;
    this.dropped[reason]++;
    // Not for its bytes, which a loss has none of: a draft that drops for hours must not run out of offsets.
    if (open.isFull(this.#settings.requestBytes)) this.#seal();
  }

  /** The first number that is not acknowledged; one more than `logged` if there is none. */
  get firstPending(): number {
    return this.frozen[0]?.first ?? this.firstUnfrozen;
  }

  /** The first number that is in no frozen request; one more than `logged` if there is none. */
  get firstUnfrozen(): number {
    return this.#sealed[0]?.first ?? this.#open?.first ?? this.logged + 1;
  }

  /** Numbers that are not acknowledged: of the buffered events, and of losses that are not reported yet. */
  get pending(): number {
    return this.logged + 1 - this.firstPending;
  }

  get hasSealed(): boolean {
    return this.#sealed.length > 0;
  }

  /** When the open draft's first number was used, on the monotonic clock; undefined if there is none. */
  get openedMs(): number | undefined {
    return this.#open?.openedMs;
  }

  /** Freezes the oldest draft and appends it to `frozen`; the open one only if asked. */
  freeze(withOpen: boolean): boolean {
    if (this.#sealed.length === 0 && withOpen && this.#open !== undefined) this.#seal();
    const draft = this.#sealed.shift();
    if (draft === undefined) return false;
    for (let severity = 1; severity < severities; severity++) this.#newest[severity]!--;
    if (this.#evicting !== undefined) this.#evicting = this.#evicting > 0 ? this.#evicting - 1 : undefined;
    this.#tally.removeAll(draft.tally);
    this.#overhead -= draft.overhead;
    this.bufferedBytes -= draft.tally.bytes + draft.overhead;
    for (const request of draft.freeze()) this.append(request);
    return true;
  }

  /** Everything that is frozen is in memory. */
  loadMore(): boolean {
    return false;
  }

  /** Events that lie on the disk and are not acknowledged. */
  get spooledEvents(): number {
    return 0;
  }

  /** Counts what is left in memory alone as lost and lets go of everything. */
  close(): void {
    this.dropped.closed += this.bufferedEvents - this.spooledEvents;
    this.bufferedEvents = this.spooledEvents;
    this.bufferedBytes = 0;
    this.frozen.length = 0;
    this.#sealed.length = 0;
    this.#open = undefined;
    this.#evicting = undefined;
    this.#encoder.release();
    this.#tally.clear();
    this.#overhead = 0;
  }

  /** Bytes that drafts take. */
  protected get draftBytes(): number {
    return this.#tally.bytes + this.#overhead;
  }

  /** Takes a request that was frozen just now. */
  protected append(request: FrozenRequest): void {
    this.hold(this.frozen.length, request);
  }

  protected override recycle(request: FrozenRequest): void {
    this.#memory.give(request.bytesWithProducer);
  }

  #begin(): OpenDraft {
    this.#open = this.#encoder.open(this.logged + 1, this.clock.monotonicMs());
    return this.#open;
  }

  #seal(): void {
    const open = this.#open;
    if (open === undefined) return;
    const { overhead } = open;
    const sealed = open.seal(this.producer, this.#memory);
    this.#countOverhead(sealed.overhead - overhead);
    for (let severity = 1; severity < severities; severity++) {
      if (sealed.tally.countOf(severity) > 0) this.#newest[severity] = this.#sealed.length;
    }
    this.#sealed.push(sealed);
    this.#open = undefined;
  }

  #lowestSeverity(): number {
    for (let severity = 1; severity < severities; severity++) {
      if (this.#tally.countOf(severity) > 0) return severity;
    }
    // Nothing can be evicted, so every newcomer is the lowest.
    return severities;
  }

  /** Evicts the newest events of the lowest severities, if that makes enough room for a higher one. */
  #makeRoom(bytes: number, severity: number): boolean {
    let missing = this.bufferedBytes + bytes - this.capacity;
    let evictable = 0;
    for (let lower = 1; lower < severity; lower++) evictable += this.#tally.bytesOf(lower);
    if (evictable < missing) return false;
    const nowMs = this.clock.wallMs();
    for (let lower = 1; lower < severity && missing > 0; lower++) {
      while (missing > 0 && this.#tally.countOf(lower) > 0) missing -= this.#evict(lower, nowMs);
    }
    return true;
  }

  /** Returns the size of what went. */
  #evict(severity: number, nowMs: number): number {
    const open = this.#open;
    let size: number;
    if (open !== undefined && open.tally.countOf(severity) > 0) {
      size = open.evictNewest(severity, nowMs);
    } else {
      const index = this.#newestWith(severity);
      if (this.#evicting !== undefined && this.#evicting !== index) this.#compact(this.#evicting, true);
      this.#evicting = index;
      size = this.#sealed[index]!.evictNewest(severity, nowMs);
      this.#compact(index, false);
    }
    this.#tally.remove(severity, size);
    this.bufferedEvents--;
    this.bufferedBytes -= size;
    this.dropped.buffer_full++;
    return size;
  }

  #compact(index: number, isLeft: boolean): void {
    const draft = this.#sealed[index]!;
    const compacted = draft.compact(isLeft);
    this.#countOverhead(compacted.overhead - draft.overhead);
    this.#sealed[index] = compacted;
  }

  #countOverhead(more: number): void {
    this.#overhead += more;
    this.bufferedBytes += more;
  }

  /** Index of the newest sealed draft with an event of the severity, of which there must be one. */
  #newestWith(severity: number): number {
    let index = Math.min(this.#newest[severity]!, this.#sealed.length - 1);
    while (index > 0 && this.#sealed[index]!.tally.countOf(severity) === 0) index--;
    this.#newest[severity] = index;
    return index;
  }
}
