/**
 * What the log knows of each producer: how far it has appended and how far that is durable.
 *
 * Invariants:
 * 1. durable <= appended; both only grow, except that a failed sync takes `appended` back to `durable`.
 * 2. A producer with something on its way to the disk is never forgotten, nor one with something in the
 *    open segment or the one before it: the next snapshot must tell what those hold.
 */
import type { DurableEntry } from './frame.js';

export interface ProducerState {
  /** The 16 id bytes as latin1 text. */
  readonly key: string;
  /** Last sequence handed to the log; 0 for a producer it does not know. */
  appended: number;
  /** Last sequence that is on the disk. */
  durable: number;
  /** The number before the first that the open segment holds; `durable`, if it holds none. */
  atOpening: number;
  /** The same for the segment before it. */
  atPreviousOpening: number;
  /** On the log's own clock. */
  lastSeenMs: number;
  /** The encoded `Producer`, as the newest call sent it. */
  encoded: Buffer;
  /** Where this producer stands in the segment of that id, to be written once a segment. */
  segmentId: string;
  indexInSegment: number;
}

export class ProducerStates {
  readonly #states = new Map<string, ProducerState>();
  readonly #most: number;
  readonly #idleMs: number;

  constructor(limits: { producers: number; producerIdleMs: number }) {
    this.#most = limits.producers;
    this.#idleMs = limits.producerIdleMs;
  }

  get count(): number {
    return this.#states.size;
  }

  /** Last sequence that the log has of a producer; 0 if it does not know it. */
  appendedOf(key: string): number {
    return this.#states.get(key)?.appended ?? 0;
  }

  durableOf(key: string): number {
    return this.#states.get(key)?.durable ?? 0;
  }

  /** Whether the open segment has something of a producer on the disk. */
  isInOpenSegment(key: string): boolean {
    const state = this.#states.get(key);
    return state !== undefined && state.durable > state.atOpening;
  }

  /** Whether a producer can be remembered: one that is known, or a new one while there is room. */
  hasRoomFor(key: string): boolean {
    return this.#states.size < this.#most || this.#states.has(key);
  }

  /** The state of a producer that is about to append from `firstSequence` on; new if the log does not know it. */
  use(key: string, encoded: Buffer, options: { firstSequence: number; logTimeMs: number }): ProducerState {
    let state = this.#states.get(key);
    if (state === undefined) {
      state = newState({ key, sequence: 0, previousSequence: 0, lastSeenMs: 0 }, encoded);
    } else {
      // Map order is the order of last use: the first entry is the longest silent one.
      this.#states.delete(key);
      if (!state.encoded.equals(encoded)) {
        state.encoded = encoded;
        state.segmentId = '';
      }
    }
    // A producer that the log does not know may start anywhere.
    if (state.appended === 0) {
      state.atOpening = options.firstSequence - 1;
      state.atPreviousOpening = options.firstSequence - 1;
    }
    state.lastSeenMs = options.logTimeMs;
    this.#states.set(key, state);
    return state;
  }

  restore(entries: Iterable<DurableEntry>): void {
    const ordered = [...entries].sort((a, b) => a.lastSeenMs - b.lastSeenMs);
    for (const entry of ordered) this.#states.set(entry.key, newState(entry, Buffer.alloc(0)));
  }

  /** The open segment goes on to be committed: from now on it is the previous one. */
  handedOn(): void {
    for (const state of this.#states.values()) state.atPreviousOpening = state.atOpening;
  }

  /** A segment is open that starts with `durableEntries()`. */
  opened(): void {
    for (const state of this.#states.values()) {
      if (state.durable > 0) state.atOpening = state.durable;
    }
  }

  /** After a failed sync: nothing counts that is not durable. */
  rollBack(): void {
    for (const state of this.#states.values()) {
      state.appended = state.durable;
      state.segmentId = '';
    }
  }

  /**
   * Forgets the producers that were silent for too long, and no others: a producer that is forgotten
   * while it still sends could store an event twice.
   */
  forgetIdle(logTimeMs: number): number {
    const before = this.#states.size;
    for (const [key, state] of this.#states) {
      if (logTimeMs - state.lastSeenMs < this.#idleMs) break;
      if (isForgettable(state)) this.#states.delete(key);
    }
    return before - this.#states.size;
  }

  /** What a new segment carries on. */
  durableEntries(): DurableEntry[] {
    const entries: DurableEntry[] = [];
    for (const state of this.#states.values()) {
      if (state.durable > 0) {
        entries.push({
          key: state.key,
          sequence: state.durable,
          previousSequence: state.atPreviousOpening,
          lastSeenMs: state.lastSeenMs,
        });
      }
    }
    return entries;
  }
}

function newState(entry: DurableEntry, encoded: Buffer): ProducerState {
  return {
    key: entry.key,
    appended: entry.sequence,
    durable: entry.sequence,
    atOpening: entry.sequence,
    atPreviousOpening: entry.previousSequence,
    lastSeenMs: entry.lastSeenMs,
    encoded,
    segmentId: '',
    indexInSegment: 0,
  };
}

function isForgettable({ appended, durable, atOpening, atPreviousOpening }: ProducerState): boolean {
  if (appended !== durable) return false;
  return durable === 0 || (durable === atOpening && durable === atPreviousOpening);
}
