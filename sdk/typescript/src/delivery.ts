import type { RequestSource } from './buffer/request-source.js';
import type { Clock, Timer } from './clock.js';
import { type Deliverer, type DeliveryCounts, noCounts } from './deliverer.js';
import type { Diagnostics } from './diagnostics.js';
import { internalLimits } from './limits.js';
import { Pace, type PaceSettings } from './pace.js';
import { backoffMs, requestedDelayMs } from './transport/backoff.js';
import { grpcStatus, inWords, reactionTo } from './transport/failure.js';
import type { Acknowledgment, Call, CallFailure, CallOutcome, Transport } from './transport/transport.js';

export interface DeliverySettings extends PaceSettings {
  readonly endpoint: string;
  readonly callBytes: number;
  readonly ackTimeoutMs: number;
  readonly exitTimeoutMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

/** A call and what has gone into it. */
interface OpenCall {
  call: Call;
  outstanding: number;
  bytes: number;
  requests: number;
  lastSequence: number;
  /** Up to this number its end asks the collector to commit soon; 0 if it does not ask. */
  markedThrough: number;
  isAged: boolean;
  isHalfClosed: boolean;
}

interface Waiter {
  readonly target: number;
  readonly done: (acknowledged: boolean) => void;
}

/**
 * Brings what the buffer holds to the collector, one call after another.
 *
 * Invariants:
 * 1. At most one call at a time; none without something to send.
 * 2. Every call begins with the oldest request that is not acknowledged, and keeps the order.
 * 3. After a failure the next call carries only what is frozen already (or one request) and is half-closed at
 *    once, so that a collector that keeps failing does not turn the buffer into many small frozen requests.
 * 4. Nothing waits without a timer, and no timer keeps the process alive (a waiter in flush() does).
 * 5. What somebody waits for is marked: behind the last of it goes a message that asks the collector to commit soon;
 *    if it is acknowledged already, that message goes alone. It is asked for once: such a call alone that fails is
 *    not made again. Nothing is marked that nobody waits for.
 */
export class Delivery implements Deliverer {
  readonly counts: DeliveryCounts = noCounts();

  readonly #settings: DeliverySettings;
  readonly #pace: Pace;
  readonly #buffer: RequestSource;
  readonly #producer: Uint8Array;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #diagnostics: Diagnostics;
  readonly #random: () => number;
  readonly #isEnding: () => boolean;
  readonly #released: () => void;

  #open: OpenCall | undefined;
  /** Index in `buffer.frozen` of the next request for the open call. */
  #next = 0;
  /** Failed calls since the last acknowledgment. */
  #attempt = 0;
  /** When the first of them was, and whether it was said that nobody answers. */
  #failingSinceMs = 0;
  #isUnreachableSaid = false;
  /** Failures of the oldest request alone that may mean that it is too large. */
  #exhausted = 0;
  /** Up to here a request was refused, and every one goes alone until it is found. */
  #isolatedThrough = 0;
  /** Until when no call is made, if a failure said so. */
  #backoff: { readonly timer: Timer; readonly untilMs: number; readonly isOrder: boolean } | undefined;
  #ageTimer: Timer | undefined;
  #callTimer: Timer | undefined;
  #progressTimer: Timer | undefined;
  #pumpTimer: Timer | undefined;
  readonly #waiters = new Set<Waiter>();
  /** The last number that somebody waited for … */
  #flushTarget = 0;
  /** … and the last that the collector was asked to commit soon. */
  #markedThrough = 0;
  readonly #markWaiters = new Set<() => void>();
  #isStopped = false;

  constructor(parts: {
    settings: DeliverySettings;
    buffer: RequestSource;
    /** The producer field that goes in front of a call's first message; empty if it is not known. */
    producer: Uint8Array;
    transport: Transport;
    clock: Clock;
    diagnostics: Diagnostics;
    random?: () => number;
    /** Whether nothing but open calls keeps the process alive. */
    isEnding?: () => boolean;
    /** Something may have been acknowledged. */
    released?: () => void;
  }) {
    this.#settings = parts.settings;
    this.#pace = new Pace(parts.settings);
    this.#buffer = parts.buffer;
    this.#producer = parts.producer;
    this.#transport = parts.transport;
    this.#clock = parts.clock;
    this.#diagnostics = parts.diagnostics;
    this.#random = parts.random ?? Math.random;
    this.#isEnding = parts.isEnding ?? (() => false);
    this.#released = parts.released ?? (() => undefined);
  }

  /** Something new is in the open draft; called from within a log call, so it only sets a timer. */
  noticeOpen(): void {
    if (this.#isStopped) return;
    this.#ageTimer ??= this.#clock.setTimer(() => {
      this.#ageTimer = undefined;
      this.#pump();
    }, this.#pace.requestAgeMs);
  }

  /** A request is full, or is there to be sent; called from within a log call. */
  noticeSealed(): void {
    if (this.#isStopped || this.#open?.isHalfClosed || this.#backoff !== undefined) return;
    this.#pumpSoon();
  }

  /** Resolves once everything up to `target` is acknowledged (true), or with false at the deadline or the stop. */
  waitFor(target: number, timeoutMs: number): Promise<boolean> {
    this.#flushTarget = Math.max(this.#flushTarget, target);
    if (this.#buffer.firstPending > target) {
      // At once, because an open call keeps the process alive and a timer does not.
      if (this.#isMarkDue()) this.#pump();
      return Promise.resolve(true);
    }
    if (this.#isStopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      // Someone awaits this, so it keeps the process alive, unlike every other timer.
      const timer = this.#clock.setTimer(() => waiter.done(false), timeoutMs, true);
      const waiter: Waiter = {
        target,
        done: (acknowledged) => {
          this.#clock.clearTimer(timer);
          this.#waiters.delete(waiter);
          resolve(acknowledged);
        },
      };
      this.#waiters.add(waiter);
      this.#hurry();
      this.#pumpSoon();
    });
  }

  /** Resolves once what was waited for and is acknowledged is marked, or at the deadline. */
  marked(timeoutMs: number): Promise<void> {
    if (this.#isStopped || !this.#isMarkDue()) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#clock.clearTimer(timer);
        this.#markWaiters.delete(done);
        resolve();
      };
      const timer = this.#clock.setTimer(done, timeoutMs, true);
      this.#markWaiters.add(done);
    });
  }

  /** Gives up the open call and the connection. Waiters learn that they waited in vain. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#endCall()?.call.cancel();
    for (const timer of [this.#ageTimer, this.#pumpTimer, this.#backoff?.timer]) {
      if (timer !== undefined) this.#clock.clearTimer(timer);
    }
    for (const waiter of [...this.#waiters]) waiter.done(false);
    for (const done of [...this.#markWaiters]) done();
    this.#transport.disconnect();
  }

  #pumpSoon(): void {
    this.#pumpTimer ??= this.#clock.setTimer(() => {
      this.#pumpTimer = undefined;
      this.#pump();
    }, 0);
  }

  /** Sends what may be sent now. Every event that could change the answer ends here. */
  #pump(): void {
    if (this.#isStopped || this.#backoff !== undefined || this.#open?.isHalfClosed) return;
    if (this.#open === undefined) {
      if (!this.#isRipe()) {
        if (this.#isMarkDue()) this.#sendMark();
        this.#watchOpenDraft();
        return;
      }
      this.#begin();
    }
    const open = this.#open;
    if (open === undefined) return;
    let hasMore = true;
    while (open.outstanding < internalLimits.outstandingWrites && !this.#isFull(open)) {
      hasMore = this.#sendNext(open);
      if (!hasMore) break;
    }
    if (this.#isFull(open) || open.isAged || (!hasMore && this.#isHasty())) this.#halfClose(open);
    // With more to send, the next written message comes back here; a due draft must not spin until then.
    else if (!hasMore) this.#watchOpenDraft();
  }

  /** Whether there is something that should not wait any longer. */
  #isRipe(): boolean {
    if (this.#buffer.frozen.length > 0) return true;
    // What is on the disk is older than any draft, and comes back by `noticeSealed`.
    return !this.#buffer.loadMore() && (this.#buffer.hasSealed || this.#isOpenDraftDue());
  }

  #isOpenDraftDue(): boolean {
    const { openedMs } = this.#buffer;
    if (openedMs === undefined) return false;
    if (this.#waiters.size > 0) return true;
    // Half a millisecond, because timers fire on whole ones.
    return this.#clock.monotonicMs() - openedMs >= this.#pace.requestAgeMs - 0.5;
  }

  #watchOpenDraft(): void {
    const { openedMs } = this.#buffer;
    if (openedMs === undefined || this.#ageTimer !== undefined) return;
    // Its turn comes after what is on the disk, however due it is; that comes back by `noticeSealed`.
    if (this.#buffer.loadMore()) return;
    const ageMs = this.#clock.monotonicMs() - openedMs;
    this.#ageTimer = this.#clock.setTimer(
      () => {
        this.#ageTimer = undefined;
        this.#pump();
      },
      Math.max(0, this.#pace.requestAgeMs - ageMs),
    );
  }

  /** Whether the call has all that it may carry. */
  #isFull(open: OpenCall): boolean {
    return open.bytes >= this.#settings.callBytes || (open.requests > 0 && this.#isolatedThrough > 0);
  }

  /** Whether the acknowledgment is wanted as soon as there is nothing more to send. */
  #isHasty(): boolean {
    return this.#waiters.size > 0 || this.#attempt > 0 || this.#isMarkDue();
  }

  /** Whether all that somebody waited for is acknowledged, and by calls that did not mark it. */
  #isMarkDue(): boolean {
    return this.#flushTarget > this.#markedThrough && this.#flushTarget < this.#buffer.firstPending;
  }

  /** Whether somebody waits, or waited, for what ends at or before this number. */
  #isMarkWanted(through: number): boolean {
    const isWanted = (target: number): boolean => target > this.#markedThrough && target <= through;
    return isWanted(this.#flushTarget) || [...this.#waiters].some(({ target }) => isWanted(target));
  }

  #begin(): void {
    const open: OpenCall = {
      call: unopened,
      outstanding: 0,
      bytes: 0,
      requests: 0,
      lastSequence: 0,
      markedThrough: 0,
      isAged: false,
      isHalfClosed: false,
    };
    try {
      open.call = this.#transport.open((outcome) => this.#onEnded(open, outcome));
    } catch (error) {
      this.#onFailed({ code: grpcStatus.UNAVAILABLE, message: `no call could be made: ${String(error)}` });
      return;
    }
    this.#open = open;
    this.#next = 0;
    this.counts.calls++;
    this.#watchAge(open);
    this.#watchProgress(open);
  }

  /** Has the call end when its oldest event is old enough; at once, if that is what it was begun for. */
  #watchAge(open: OpenCall): void {
    const { frozen, hasSealed, openedMs } = this.#buffer;
    // What waited in memory or on the disk for a full call gets one, however old it is.
    const isYoung = frozen.length === 0 && !hasSealed && openedMs !== undefined;
    const ageMs = isYoung ? this.#clock.monotonicMs() - openedMs : 0;
    const restMs = this.#pace.callAgeMs - ageMs;
    // Half a millisecond, because timers fire on whole ones.
    open.isAged = restMs < 0.5;
    if (open.isAged) return;
    this.#callTimer = this.#clock.setTimer(() => {
      open.isAged = true;
      this.#pump();
    }, restMs);
  }

  /** Hands the next request to the call; false if there is none. */
  #sendNext(open: OpenCall): boolean {
    const { frozen } = this.#buffer;
    if (this.#next === frozen.length) {
      if (this.#buffer.loadMore()) return false;
      if (this.#attempt > 0 && open.requests > 0) return false;
      // The first request after a failure takes the open draft however young it is; nothing else is sent.
      if (!this.#buffer.freeze(this.#isOpenDraftDue())) return false;
    }
    const request = frozen[this.#next++]!;
    if (request.sends++ > 0) this.counts.resends++;
    const message = open.requests === 0 ? request.bytesWithProducer : request.bytes;
    open.requests++;
    open.bytes += message.length;
    open.lastSequence = request.last;
    open.outstanding++;
    open.call.write(message, () => {
      open.outstanding--;
      if (this.#open !== open) return;
      this.#watchProgress(open);
      this.#pump();
    });
    return true;
  }

  #halfClose(open: OpenCall): void {
    open.isHalfClosed = true;
    this.#clearTimer('call');
    const through = Math.max(open.lastSequence, this.#buffer.firstPending - 1);
    if (this.#isMarkWanted(through)) {
      open.markedThrough = through;
      const mark = open.requests > 0 ? flushMark : Buffer.concat([this.#producer, flushMark]);
      open.call.write(mark, () => undefined);
    }
    open.call.halfClose();
    this.#watchProgress(open);
  }

  /** A call that only asks for what is acknowledged to be committed soon. */
  #sendMark(): void {
    const through = this.#buffer.firstPending - 1;
    if (this.#producer.length > 0) this.#begin();
    if (this.#open === undefined) this.#noteMarked(through);
    else this.#halfClose(this.#open);
  }

  #noteMarked(through: number): void {
    this.#markedThrough = Math.max(this.#markedThrough, through);
    if (this.#isMarkDue()) return;
    for (const done of [...this.#markWaiters]) done();
  }

  /** A collector that hangs is one that neither takes bytes nor answers for a while. */
  #watchProgress(open: OpenCall): void {
    this.#clearTimer('progress');
    const { ackTimeoutMs, exitTimeoutMs } = this.#settings;
    const sinceMs = this.#clock.monotonicMs();
    const isMark = isMarkAlone(open);
    // A job that goes on logging is not at its end, whatever else it has open.
    const { logged } = this.#buffer;
    const isEnding = (): boolean => this.#buffer.logged === logged && this.#isEnding();
    const checkMs = Math.min(ackTimeoutMs, isMark ? internalLimits.flushMarkMs : exitTimeoutMs);
    // A mark that is given up costs nothing, so it gets no turn more.
    let isLate = isMark;
    const check = (): void => {
      // Between two requests an open call is quiet by right; it is the half-close that is late then.
      if (this.#open !== open || (!open.isHalfClosed && open.outstanding === 0)) return;
      const waitedMs = this.#clock.monotonicMs() - sinceMs;
      if (waitedMs < ackTimeoutMs && !isEnding()) {
        this.#progressTimer = this.#clock.setTimer(check, Math.min(checkMs, ackTimeoutMs - waitedMs));
      } else if (!isLate) {
        // A job that computed all the while lets its timers run before its sockets are read, and the answer may
        // lie there. So it gets a turn more.
        isLate = true;
        this.#progressTimer = this.#clock.setTimer(check, Math.min(internalLimits.lateGraceMs, ackTimeoutMs));
      } else {
        this.#giveUp(open, waitedMs);
      }
    };
    this.#progressTimer = this.#clock.setTimer(check, checkMs);
  }

  #giveUp(open: OpenCall, waitedMs: number): void {
    this.#endCall();
    open.call.cancel();
    // Whatever hangs, a new connection is the way around it.
    this.#transport.disconnect();
    const message = `no progress for ${Math.round(waitedMs)} ms (ackTimeoutMs is ${this.#settings.ackTimeoutMs})`;
    if (isMarkAlone(open)) this.#onMarkFailed(open, message);
    else this.#onFailed({ code: grpcStatus.DEADLINE_EXCEEDED, message });
  }

  #onEnded(open: OpenCall, outcome: CallOutcome): void {
    if (this.#open !== open) return;
    this.#endCall();
    if (outcome.kind === 'acknowledged') this.#onAcknowledged(open, outcome.response);
    else if (isMarkAlone(open)) this.#onMarkFailed(open, outcome.failure.message);
    else this.#onFailed(outcome.failure, open);
  }

  /** Everything it was about is on the collector's disk, and committed in the end without being asked for. */
  #onMarkFailed(open: OpenCall, message: string): void {
    this.counts.lastError = message;
    this.#noteMarked(open.markedThrough);
    this.#pump();
  }

  #endCall(): OpenCall | undefined {
    const open = this.#open;
    this.#open = undefined;
    this.#clearTimer('call');
    this.#clearTimer('progress');
    return open;
  }

  #onAcknowledged(open: OpenCall, response: Acknowledgment): void {
    this.#pace.noticeAnswer(response.callAgeMs ?? 0);
    this.counts.duplicates += response.duplicates;
    this.counts.rejected += response.rejected;
    if (response.rejection !== undefined) {
      this.#diagnostics.report(
        'rejected',
        () => `the collector at ${this.#settings.endpoint} rejected ${response.rejection}`,
      );
    }
    const waited = this.#buffer.bufferedEvents;
    const hasReleased = this.#buffer.release(response.durableSequence);
    const isThrough = hasReleased || response.durableSequence >= open.lastSequence;
    if (isThrough && this.#isUnreachableSaid) this.#reportReached(waited);
    this.#noteMarked(Math.min(open.markedThrough, this.#buffer.firstPending - 1));
    this.#wake();
    if (!isThrough) {
      this.#onFailed({
        code: grpcStatus.UNKNOWN,
        message: `acknowledged up to ${response.durableSequence} of ${open.lastSequence}`,
      });
      return;
    }
    this.#onProgress(response.durableSequence);
    this.#pump();
  }

  #onProgress(durable: number): void {
    this.#attempt = 0;
    this.#exhausted = 0;
    if (durable >= this.#isolatedThrough) this.#isolatedThrough = 0;
  }

  /** `open` is absent if nothing can be said about what the call carried. */
  #onFailed(failed: CallFailure, open?: OpenCall): void {
    const failure = { ...failed, message: inWords(failed, this.#settings.endpoint) };
    if (this.#attempt === 0) this.#failingSinceMs = this.#clock.monotonicMs();
    this.#attempt++;
    this.counts.lastError = failure.message;
    const reaction = open === undefined ? 'retry' : reactionTo(failure);
    switch (reaction) {
      case 'retry':
        this.#reportRetry(failure);
        this.#backOff(this.#delayMs(this.#settings.backoffMaxMs));
        break;
      case 'retry-slowly':
        this.#report('refused', `${failure.message}; trying again slowly, but someone has to repair that`);
        this.#backOff(this.#settings.backoffMaxMs * (0.5 + this.#random() / 2));
        break;
      case 'wait':
        this.#report(
          'overloaded',
          `${failure.message}; trying again after ${failure.retryDelayMs} ms as asked`,
        );
        this.#backOff(
          requestedDelayMs(failure.retryDelayMs ?? 0, internalLimits.retryDelayMaxMs, this.#random),
          true,
        );
        break;
      case 'rewind':
        this.#rewind(failure.expectedSequence ?? 0, failure);
        break;
      case 'isolate-refused':
      case 'isolate-exhausted':
        this.#isolate(failure, open?.requests ?? 0, open?.lastSequence ?? 0);
        break;
    }
    this.#wake();
  }

  #rewind(expected: number, failure: CallFailure): void {
    const oldest = this.#buffer.firstPending;
    const outcome = this.#buffer.rewind(expected);
    if (outcome !== 'resend') {
      const what =
        outcome === 'repaired' ? 'what is missing is reported as lost (refused)' : 'that fits nothing';
      this.#report('rewind', `it expects sequence ${expected}, the oldest here is ${oldest}; ${what}`);
    }
    // The first time is what the protocol provides for; a collector that keeps asking gets pauses.
    const isFirst = this.#attempt === 1 && outcome !== 'nonsense';
    if (!isFirst) this.#reportRetry(failure);
    this.#backOff(isFirst ? 0 : this.#delayMs(this.#settings.backoffMaxMs));
  }

  /** Sends requests one a call until it is known which one is refused, and gives that one up. */
  #isolate(failure: CallFailure, requests: number, lastSequence: number): void {
    const isExhausted = failure.code === grpcStatus.RESOURCE_EXHAUSTED;
    this.#isolatedThrough = Math.max(this.#isolatedThrough, lastSequence);
    const request = this.#buffer.frozen[0];
    const isAlone = requests === 1 && request !== undefined;
    if (isAlone && isExhausted) this.#exhausted++;
    const isGivenUp = isAlone && (!isExhausted || this.#exhausted >= internalLimits.exhaustedAttempts);
    if (isGivenUp && request.events > 0) {
      this.#exhausted = 0;
      this.#report(
        'refused',
        `${failure.message}; ${request.events} events from sequence ${request.first} are reported as lost`,
      );
      this.#buffer.refuseOldest();
      this.#backOff(0);
      return;
    }
    // A request of nothing but losses is small and right: if that is refused, so is the producer itself.
    if (isGivenUp)
      this.#report('refused', `${failure.message}; the collector takes nothing from this logger`);
    else this.#report('overloaded', `${failure.message}; looking for the request that causes it`);
    this.#backOff(requests > 1 ? 0 : this.#delayMs(this.#settings.backoffMaxMs));
  }

  #delayMs(maxMs: number): number {
    const limitMs = this.#waiters.size > 0 ? Math.min(maxMs, internalLimits.flushBackoffMaxMs) : maxMs;
    return backoffMs(this.#attempt, { minMs: this.#settings.backoffMinMs, maxMs: limitMs }, this.#random);
  }

  /** `isOrder`: the collector asked for this delay, so that nobody's hurry shortens it. */
  #backOff(delayMs: number, isOrder = false): void {
    if (this.#isStopped) return;
    const timer = this.#clock.setTimer(() => {
      this.#backoff = undefined;
      this.#pump();
    }, delayMs);
    this.#backoff = { timer, untilMs: this.#clock.monotonicMs() + delayMs, isOrder };
  }

  /** Someone waits: a long delay of our own making becomes a short one. */
  #hurry(): void {
    const backoff = this.#backoff;
    if (backoff === undefined || backoff.isOrder) return;
    const soonMs = this.#random() * this.#settings.backoffMinMs;
    if (backoff.untilMs - this.#clock.monotonicMs() <= soonMs) return;
    this.#clock.clearTimer(backoff.timer);
    this.#backOff(soonMs);
  }

  #wake(): void {
    const { firstPending } = this.#buffer;
    for (const waiter of [...this.#waiters]) {
      if (waiter.target < firstPending) waiter.done(true);
    }
    this.#released();
  }

  /** Not the first failures: a collector that restarts should not make a fleet talk. */
  #reportRetry(failure: CallFailure): void {
    if (this.#attempt < internalLimits.quietAttempts) return;
    const message = `${failure.message}; ${this.#attempt} attempts so far, trying again`;
    if (this.#report('unreachable', message)) this.#isUnreachableSaid = true;
  }

  /** Whoever has read that nobody answers reads that somebody does again. */
  #reportReached(waited: number): void {
    this.#isUnreachableSaid = false;
    const awayS = Math.round((this.#clock.monotonicMs() - this.#failingSinceMs) / 1000);
    this.#report('reached', `reached again after ${awayS} s; ${waited} events waited`);
  }

  #report(kind: 'unreachable' | 'reached' | 'refused' | 'overloaded' | 'rewind', message: string): boolean {
    return this.#diagnostics.report(kind, () => `collector at ${this.#settings.endpoint}: ${message}`);
  }

  #clearTimer(which: 'call' | 'progress'): void {
    const timer = which === 'call' ? this.#callTimer : this.#progressTimer;
    if (timer !== undefined) this.#clock.clearTimer(timer);
    if (which === 'call') this.#callTimer = undefined;
    else this.#progressTimer = undefined;
  }
}

/** Whether a call carries nothing but the wish to have earlier ones committed. */
function isMarkAlone({ requests, markedThrough }: OpenCall): boolean {
  return requests === 0 && markedThrough > 0;
}

/** LogRequest { flush: true } */
const flushMark = Buffer.from([0x30, 0x01]);

/** Stands in until the transport has made the call. */
const unopened: Call = { write: () => undefined, halfClose: () => undefined, cancel: () => undefined };
