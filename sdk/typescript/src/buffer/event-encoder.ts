import type { WriterOptions } from '../encode/event-reader.js';
import type { WriteOutcome } from '../encode/event-writer.js';
import type { FrozenRequest } from './frozen-request.js';
import type { LossReason } from './loss.js';
import type { RequestMemory } from './request-memory.js';
import type { Tally } from './tally.js';

/**
 * What the buffer needs of an encoding: something that writes events into the open draft, and drafts that can be
 * sealed, evicted from and frozen. An event has the same size wherever it is counted, from `size` to `evictNewest`.
 */
export interface EventEncoder {
  /** Fields left out, cut names and ignored options since the start. */
  fieldErrors: number;
  /** Bytes of the event that was written last. */
  readonly size: number;
  /** Bytes that the open draft would take for it beside those. */
  readonly overhead: number;
  /** Encodes one event behind those of the open draft, which it is no part of yet. May throw what the caller's getters
   *  throw. */
  write(
    name: unknown,
    severity: number,
    body: unknown,
    fields: unknown,
    options: WriterOptions | undefined,
  ): WriteOutcome;
  /** Begins a draft. One at a time: the draft before was sealed, or discarded. */
  open(first: number, openedMs: number): OpenDraft;
  /** Forgets the events of the open draft. */
  discard(): void;
  /** The same, and gives back its memory: nothing is written any more. */
  release(): void;
}

/** A request that is not frozen yet. Its events may still be evicted. */
export interface Draft {
  /** The first number of its range. */
  readonly first: number;
  /** When its first number was used, on the monotonic clock. */
  readonly openedMs: number;
  /** Events that were not evicted. */
  readonly tally: Tally;
  /** Bytes that it takes beside them. */
  readonly overhead: number;
  /** Drops the newest event of a severity, of which there must be one; returns its size. */
  evictNewest(severity: number, timeMs: number): number;
}

/** The draft that takes events. */
export interface OpenDraft extends Draft {
  /** Takes the event that was written last. */
  add(severity: number): void;
  /** Numbers that were used up behind the last event. */
  lose(reason: LossReason, count: number, timeMs: number): void;
  /** Whether it should be sealed, if a request is to have this size. */
  isFull(requestBytes: number): boolean;
  /** Moves it into bytes of its own, which are taken from `memory`. */
  seal(producer: Uint8Array, memory: RequestMemory): SealedDraft;
}

export interface SealedDraft extends Draft {
  /** The same draft without the room of what was evicted, if that is worth it. `isLeft`: the eviction goes on in
   *  another draft, so what is only needed for it can go. */
  compact(isLeft: boolean): SealedDraft;
  /** Only one with a great many losses becomes several requests. */
  freeze(): FrozenRequest[];
}
