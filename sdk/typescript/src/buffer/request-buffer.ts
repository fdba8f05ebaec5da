import type { Clock } from '../clock.js';
import type { EventWriter } from '../encode/event-writer.js';
import { internalLimits } from '../limits.js';
import { Draft } from './draft.js';
import { type FrozenRequest, freezeDraft, requestPrefix } from './frozen-request.js';
import { FrozenRequests } from './frozen-requests.js';
import type { LossReason } from './loss.js';
import type { RequestSource } from './request-source.js';

export interface RequestBufferSettings {
  readonly bufferBytes: number;
  readonly requestBytes: number;
}

/**
 * Everything that was logged and is not acknowledged, in the order of its numbers:
 * frozen requests, then sealed drafts, then the open draft, whose bytes are the writer's.
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
  readonly #writer: EventWriter;
  readonly #sealed: Draft[] = [];
  #open: Draft | undefined;
  /** Events of each severity in drafts, so that a full buffer decides without a search. */
  readonly #counts = new Uint32Array(25);
  readonly #bytes = new Float64Array(25);

  constructor(settings: RequestBufferSettings, writer: EventWriter, producer: Uint8Array, clock: Clock) {
    super(producer, clock);
    this.#settings = settings;
    this.capacity = settings.bufferBytes;
    this.#writer = writer;
  }

  /** True if an event of this severity would be dropped whatever its size, so that it need not be encoded. */
  isClosedTo(severity: number): boolean {
    // No event is smaller than its time and name.
    return this.bufferedBytes + 16 > this.capacity && severity <= this.#lowestSeverity();
  }

  /** Takes the event that the writer wrote last. */
  add(severity: number): 'first' | 'kept' | 'sealed' | 'dropped' {
    const size = this.#writer.end - this.#writer.committed;
    if (this.bufferedBytes + size > this.capacity && !this.#makeRoom(size, severity)) {
      this.drop('buffer_full');
      return 'dropped';
    }
    const isFirst = this.#open === undefined;
    const open = this.#open ?? this.#begin();
    open.add(severity, size, this.#writer.end);
    this.#writer.committed = this.#writer.end;
    this.#counts[severity]!++;
    this.#bytes[severity]! += size;
    this.logged++;
    this.bufferedEvents++;
    this.bufferedBytes += size;
    if (this.#writer.committed < this.#settings.requestBytes) return isFirst ? 'first' : 'kept';
    this.#seal();
    return 'sealed';
  }

  /** Uses up a number for an event that is not kept. */
  drop(reason: LossReason): void {
    const open = this.#open ?? this.#begin();
    open.lose(reason, 1, this.clock.wallMs());
    this.logged++;
    this.dropped[reason]++;
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
    for (let severity = 1; severity < this.#counts.length; severity++) {
      this.#counts[severity]! -= draft.countOf(severity);
      this.#bytes[severity]! -= draft.bytesOf(severity);
    }
    const requests = freezeDraft(
      draft.evictedBytes > 0 ? draft.compact(requestPrefix(this.producer, draft.first)) : draft,
      this.producer,
    );
    this.bufferedBytes -= draft.liveBytes;
    for (const request of requests) this.append(request);
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
    this.#writer.committed = 0;
    this.#counts.fill(0);
    this.#bytes.fill(0);
  }

  /** Bytes of the events in drafts. */
  protected get draftBytes(): number {
    return this.#bytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Takes a request that was frozen just now. */
  protected append(request: FrozenRequest): void {
    this.hold(this.frozen.length, request);
  }

  #begin(): Draft {
    const place = { first: this.logged + 1, openedMs: this.clock.monotonicMs(), bytes: this.#writer.bytes };
    this.#open = new Draft({ ...place, base: 0 });
    return this.#open;
  }

  /** Moves the open draft out of the writer's buffer, with its prefix in front. */
  #seal(): void {
    const open = this.#open;
    if (open === undefined) return;
    open.bytes = this.#writer.bytes;
    this.#sealed.push(open.compact(requestPrefix(this.producer, open.first)));
    this.#open = undefined;
    this.#writer.committed = 0;
  }

  #lowestSeverity(): number {
    for (let severity = 1; severity < this.#counts.length; severity++) {
      if (this.#counts[severity]! > 0) return severity;
    }
    // Nothing can be evicted, so every newcomer is the lowest.
    return this.#counts.length;
  }

  /** Evicts the newest events of the lowest severities, if that makes enough room for a higher one. */
  #makeRoom(size: number, severity: number): boolean {
    let missing = this.bufferedBytes + size - this.capacity;
    let evictable = 0;
    for (let lower = 1; lower < severity; lower++) evictable += this.#bytes[lower]!;
    if (evictable < missing) return false;
    const nowMs = this.clock.wallMs();
    for (let lower = 1; lower < severity && missing > 0; lower++) {
      while (missing > 0 && this.#counts[lower]! > 0) missing -= this.#evict(lower, nowMs);
    }
    return true;
  }

  #evict(severity: number, nowMs: number): number {
    const index = this.#newestWith(severity);
    const draft = index === undefined ? this.#open! : this.#sealed[index]!;
    const size = draft.evictNewest(severity, nowMs);
    this.#counts[severity]!--;
    this.#bytes[severity]! -= size;
    this.bufferedEvents--;
    this.bufferedBytes -= size;
    this.dropped.buffer_full++;
    if (index !== undefined && draft.evictedBytes > draft.bytes.length * internalLimits.compactionShare) {
      this.#sealed[index] = draft.compact(requestPrefix(this.producer, draft.first));
    }
    return size;
  }

  /** Index of the newest sealed draft with an event of the severity; undefined for the open draft. */
  #newestWith(severity: number): number | undefined {
    if (this.#open !== undefined && this.#open.countOf(severity) > 0) return undefined;
    let index = this.#sealed.length - 1;
    while (index > 0 && this.#sealed[index]!.countOf(severity) === 0) index--;
    return index;
  }
}
