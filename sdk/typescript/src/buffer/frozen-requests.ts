import type { Clock } from '../clock.js';
import { type FrozenRequest, freezeLost } from './frozen-request.js';
import { countLost, type LossReason } from './loss.js';
import { ReleasedLosses } from './released-losses.js';
import type { Rewind } from './request-source.js';

/**
 * Requests that are frozen and not acknowledged, and what became of the others.
 *
 * Frozen requests never change; they are only released from the front, or replaced by losses.
 */
export abstract class FrozenRequests {
  readonly dropped: Record<LossReason, number> = {
    buffer_full: 0,
    too_large: 0,
    closed: 0,
    encoding: 0,
    refused: 0,
    spool_damaged: 0,
  };
  acknowledged = 0;
  /** Events that are not acknowledged, wherever they are. */
  bufferedEvents = 0;
  /** Encoded bytes in memory. */
  bufferedBytes = 0;
  /** The oldest first. */
  readonly frozen: FrozenRequest[] = [];

  protected readonly producer: Uint8Array;
  protected readonly clock: Clock;
  readonly #releasedLosses = new ReleasedLosses();

  constructor(producer: Uint8Array, clock: Clock) {
    this.producer = producer;
    this.clock = clock;
  }

  /** Lets go of everything up to a number that the collector has on its disk. Says whether that was any. */
  release(durable: number): boolean {
    let released = 0;
    for (const request of this.frozen) {
      if (request.last > durable || !this.mayBeStored(request)) break;
      released++;
      this.acknowledged += request.events;
      if (request.losses.length > 0) this.#releasedLosses.add(request.losses);
      this.forget(request);
      // One call had it, and has been answered. One that was sent again may still lie in a call that was given up.
      if (request.sends === 1) this.recycle(request);
    }
    this.frozen.splice(0, released);
    return released > 0;
  }

  /** Replaces the oldest frozen request by losses of the same numbers. */
  refuseOldest(): void {
    const request = this.frozen[0];
    if (request !== undefined) this.#replaceOldest(request, request.first);
  }

  /** Goes on from where the collector wants to. */
  rewind(expected: number): Rewind {
    const oldest = this.frozen[0];
    if (oldest === undefined || !Number.isSafeInteger(expected) || expected < 1) return 'nonsense';
    if (expected < oldest.first) {
      // It acknowledged these once and does not have them any more; nor do we.
      // Those of them that were losses are counted already, and keep their reasons.
      const losses = this.#releasedLosses.takeFrom(expected);
      const lostBefore = losses.reduce((sum, { count }) => sum + count, 0);
      const takenBack = Math.min(oldest.first - expected - lostBefore, this.acknowledged);
      this.acknowledged -= takenBack;
      this.dropped.refused += takenBack;
      this.insertLost(0, { from: expected, last: oldest.first - 1, losses }, 'refused');
      return 'repaired';
    }
    this.release(expected - 1);
    const next = this.frozen[0];
    if (next === undefined || next.first >= expected) return 'resend';
    // It has a part of a request, which its own rules forbid. The rest cannot be cut out byte for byte.
    this.#replaceOldest(next, expected);
    return 'repaired';
  }

  /** What was never sent cannot be on the collector's disk, whatever it says; unless somebody else sent it. */
  protected mayBeStored(request: FrozenRequest): boolean {
    return request.sends > 0;
  }

  protected hold(index: number, request: FrozenRequest): void {
    this.frozen.splice(index, 0, request);
    this.bufferedBytes += request.bytesWithProducer.length;
  }

  /** It is out of `frozen`, or about to be. */
  protected forget(request: FrozenRequest): void {
    this.bufferedEvents -= request.events;
    this.bufferedBytes -= request.bytesWithProducer.length;
  }

  /** Nobody refers to the bytes of the request any more. */
  protected recycle(_request: FrozenRequest): void {}

  /** Puts losses at a place in `frozen`: all numbers of the range, those of known losses with their own reasons. */
  protected insertLost(
    index: number,
    lost: { from: number; last: number; losses: FrozenRequest['losses'] },
    reason: LossReason,
  ): void {
    const requests = freezeLost({ ...lost, reason, timeMs: this.clock.wallMs() }, this.producer);
    for (const [offset, request] of requests.entries()) this.hold(index + offset, request);
  }

  #replaceOldest(request: FrozenRequest, from: number): void {
    const lost = request.last - from + 1 - countLost(request.losses, from, request.last);
    this.frozen.shift();
    this.forget(request);
    this.acknowledged += request.events - lost;
    this.#releasedLosses.add(request.losses.filter(({ first }) => first < from));
    this.#releasedLosses.takeFrom(from);
    this.dropped.refused += lost;
    this.insertLost(0, { from, last: request.last, losses: request.losses }, 'refused');
  }
}
