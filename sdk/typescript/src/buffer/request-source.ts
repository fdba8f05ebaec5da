import type { FrozenRequest } from './frozen-request.js';

/** What the collector's answer to a wrong sequence led to. */
export type Rewind =
  | 'resend' // go on from a request that is held
  | 'repaired' // numbers that cannot be delivered any more are reported as lost
  | 'nonsense'; // the answer fits nothing; try again later

/** Where the delivery takes requests from: a logger's buffer, or what another process left on the disk. */
export interface RequestSource {
  /** Requests that are frozen and in memory, the oldest first. */
  readonly frozen: readonly FrozenRequest[];
  /** The first number that is not acknowledged. */
  readonly firstPending: number;
  /** Events that are not acknowledged, wherever they are. */
  readonly bufferedEvents: number;
  /** The last number that was used up. */
  readonly logged: number;
  /** Whether a request is full that could be frozen. */
  readonly hasSealed: boolean;
  /** When the open draft's first number was used, on the monotonic clock; undefined if there is none. */
  readonly openedMs: number | undefined;
  /** Freezes the oldest draft and appends it to `frozen`; the open one only if asked. */
  freeze(withOpen: boolean): boolean;
  /** Whether the requests that follow those in `frozen` lie on the disk. They are read then, and the delivery is
   *  told when they are in `frozen`; until then nothing younger may be frozen for it. */
  loadMore(): boolean;
  /** Lets go of everything up to a number that the collector has on its disk. Says whether that was any. */
  release(durable: number): boolean;
  /** Replaces the oldest frozen request by losses of the same numbers. */
  refuseOldest(): void;
  /** Goes on from where the collector wants to. */
  rewind(expected: number): Rewind;
}
