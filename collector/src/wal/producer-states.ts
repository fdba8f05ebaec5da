/**
 * What the log knows of each producer: how far it has appended and how far that is durable.
 *
 * Invariants:
 * 1. durable <= appended; both only grow, except that a failed sync takes `appended` back to `durable`.
 * 2. A producer with something on its way to the disk is never forgotten, nor one with something in the
 *    open segment or the one before it: the next snapshot must tell what those hold.
 * 3. What the open segment holds of a producer is one range without holes: a producer goes on behind what
 *    another log has of it (`adopt`, `carry`) only when the open segment holds nothing of it.
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
  /**
   * Where it goes on, by what other logs have of it, until this one has something durable behind that;
   * 0: anywhere. Undefined if `durable` says it.
   */
  resume: number | undefined;
  /** Segments to be handed on until the snapshots need not tell any more that its numbers jumped. */
  jumpedFor: number;
  /** Where this producer stands in the segment of that id, to be written once a segment. */
  segmentId: string;
  indexInSegment: number;
}

/** A producer as another log knows it. */
export interface CarriedProducer {
  readonly key: string;
  readonly sequence: number;
  /** For how long it has been silent, on the other log's clock. */
  readonly silentMs: number;
}

/** The snapshots of the open segment's successor and of the next tell of what a jump makes uncertain. */
const snapshotsAfterJump = 3;

export class ProducerStates {
  readonly #states = new Map<string, ProducerState>();
  readonly #most: number;
  readonly #idleMs: number;
  readonly #onForgotten: (key: string) => void;

  constructor(
    limits: { producers: number; producerIdleMs: number },
    onForgotten: (key: string) => void = () => undefined,
  ) {
    this.#most = limits.producers;
    this.#idleMs = limits.producerIdleMs;
    this.#onForgotten = onForgotten;
  }

  get count(): number {
    return this.#states.size;
  }

  /** Last sequence that the log has of a producer; 0 if it does not know it. */
  appendedOf(key: string): number {
    return this.#states.get(key)?.appended ?? 0;
  }

  /** Last sequence that is on a disk: this log's or, while this one has nothing behind it, another's. */
  durableOf(key: string): number {
    const state = this.#states.get(key);
    return state === undefined ? 0 : (state.resume ?? state.durable);
  }

  /**
   * The producer goes on behind `sequence`, wherever this log knows it to be; 0: anywhere. Nothing of it may
   * be on its way to the disk, or in the open segment unless that ends there.
   */
  adopt(key: string, options: { sequence: number; logTimeMs: number }): void {
    const { sequence, logTimeMs } = options;
    const state =
      this.#states.get(key) ?? newState({ key, sequence: 0, previousSequence: 0, lastSeenMs: 0 }, noBytes);
    this.#states.delete(key);
    state.appended = sequence;
    state.resume = sequence === state.durable ? undefined : sequence;
    state.lastSeenMs = logTimeMs;
    this.#states.set(key, state);
  }

  /**
   * Carries on what another log knows of a producer. False while that cannot be told apart from what the
   * open segment or the one before it holds; of the latter nobody asks once it `isPreviousGone`.
   */
  carry(producer: CarriedProducer, options: { logTimeMs: number; isPreviousGone: boolean }): boolean {
    const { key, sequence, silentMs } = producer;
    const lastSeenMs = Math.max(0, options.logTimeMs - silentMs);
    const state =
      this.#states.get(key) ?? newState({ key, sequence: 0, previousSequence: 0, lastSeenMs }, noBytes);
    const { appended, durable, atOpening, atPreviousOpening, resume } = state;
    if (durable >= sequence) return true;
    if (appended !== (resume ?? durable)) return false;
    if (durable > 0 && durable !== atOpening) return false;
    if (durable > 0 && durable !== atPreviousOpening && !options.isPreviousGone) return false;
    state.durable = sequence;
    state.atOpening = sequence;
    state.atPreviousOpening = sequence;
    if (resume === undefined) state.appended = sequence;
    else if (resume === sequence) state.resume = undefined;
    state.jumpedFor = snapshotsAfterJump;
    this.#states.set(key, state);
    return true;
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
    const { resume } = state;
    if (state.appended === (resume ?? 0)) {
      // A producer that the log does not know may start anywhere.
      state.atOpening = resume || options.firstSequence - 1;
      if (state.durable === 0) state.atPreviousOpening = state.atOpening;
      if (resume !== undefined) state.jumpedFor = snapshotsAfterJump;
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
    for (const state of this.#states.values()) {
      state.atPreviousOpening = state.atOpening;
      if (state.jumpedFor > 0) state.jumpedFor--;
    }
  }

  /** A segment is open that starts with `durableEntries()`. */
  opened(): void {
    for (const state of this.#states.values()) {
      // With `resume`, what is on its way starts behind that and not behind `durable`.
      if (state.durable > 0 && state.resume === undefined) state.atOpening = state.durable;
    }
  }

  /** After a failed sync: nothing counts that is not durable. */
  rollBack(): void {
    for (const state of this.#states.values()) {
      state.appended = state.resume ?? state.durable;
      if (state.resume !== undefined && state.durable > 0) state.atOpening = state.durable;
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
      if (!isForgettable(state)) continue;
      this.#states.delete(key);
      this.#onForgotten(key);
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
          ...(state.jumpedFor > 0 && { hasJumped: true }),
        });
      }
    }
    return entries;
  }
}

const noBytes = Buffer.alloc(0);

function newState(entry: DurableEntry, encoded: Buffer): ProducerState {
  return {
    key: entry.key,
    appended: entry.sequence,
    durable: entry.sequence,
    atOpening: entry.sequence,
    atPreviousOpening: entry.previousSequence,
    lastSeenMs: entry.lastSeenMs,
    encoded,
    resume: undefined,
    jumpedFor: entry.hasJumped === true ? snapshotsAfterJump - 1 : 0,
    segmentId: '',
    indexInSegment: 0,
  };
}

function isForgettable(state: ProducerState): boolean {
  const { appended, durable, atOpening, atPreviousOpening, resume } = state;
  if (appended !== (resume ?? durable)) return false;
  return durable === 0 || (durable === atOpening && durable === atPreviousOpening);
}
