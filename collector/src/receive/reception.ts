/**
 * What all calls together may hold before the log takes it: the bytes that have arrived and were not
 * read, the messages that are not complete, and those that wait for room in the log.
 *
 * Invariants:
 * 1. Below half of `receivingBytes` everyone reads.
 * 2. Above it, messages that are not complete read on only if they are let on, which they are if what is missing
 *    of them fits into the rest, those first that miss least; the others wait from the next byte on, and HTTP/2
 *    flow control stops their clients. So messages that were let on always have room to become complete.
 * 3. A message that reads has `messageMs` to become complete, and `pressedMessageMs` while others wait
 *    for it. Time in which the collector itself did not read does not count.
 * 4. Above `receivingBytes` and one and a half times `windowBytes`, which only clients that ignore flow control can bring
 *    about, the call that holds the most is refused.
 */
import type { ReceiveLimits } from '../limits.js';
import type { Refusal } from './intake.js';

/** One call, as far as memory is concerned. */
export interface HoldingCall {
  readonly heldBytes: number;
  /** Missing of a message that has begun, its half-close included where it must follow; 0 if none has. */
  readonly missingBytes: number;
  /** Milliseconds for which the message that has begun has been read; a caller adds to it. */
  readingMs: number;
  readonly isPaused: boolean;
  /** Whether the message that has begun may be read although others wait; a new message begins without. */
  isLetOn: boolean;
  pause(): void;
  resume(): void;
  refuse(refusal: Refusal): void;
}

/** Arranging costs a sort of all messages that are not complete, so not at every DATA frame. */
const arrangeEveryMs = 5;

/** Windows that were told smaller take a moment to become so, and memory for messages is rounded up. */
const windowSlack = 1.5;

/** Sweeps are asked for more often than this; more time than this between two does not count. */
const mostSweepMs = 500;

export class Reception {
  readonly #limits: ReceiveLimits;
  readonly #monotonic: () => number;
  readonly #calls = new Set<HoldingCall>();
  /** What honest clients cannot exceed. */
  readonly #mostBytes: number;
  #heldBytes = 0;
  #isAnyonePaused = false;
  #arranging: NodeJS.Timeout | undefined;
  #lastSweepMs: number;
  /** Calls refused for a limit of this class, by its name. */
  readonly refusals = { receivingBytes: 0, messageMs: 0, pressedMessageMs: 0 };

  constructor(limits: ReceiveLimits, monotonic: () => number) {
    this.#limits = limits;
    this.#mostBytes = limits.receivingBytes + limits.windowBytes * windowSlack;
    this.#monotonic = monotonic;
    this.#lastSweepMs = monotonic();
  }

  get calls(): number {
    return this.#calls.size;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get isPressed(): boolean {
    return this.#heldBytes > this.#limits.receivingBytes / 2;
  }

  add(call: HoldingCall): void {
    this.#calls.add(call);
  }

  remove(call: HoldingCall): void {
    this.#calls.delete(call);
  }

  /** A call holds `bytes` more, or fewer, than before. */
  account(bytes: number): void {
    this.#heldBytes += bytes;
    if (bytes > 0 && this.#heldBytes > this.#mostBytes) this.#refuseLargest();
    if (this.isPressed || this.#isAnyonePaused) this.#arrangeSoon();
  }

  /** Whether a call may read on in a message that stays incomplete; else it is paused. A turn can bring much, so this
   *  does not wait for the next arrangement. */
  mayReadOn(call: HoldingCall): boolean {
    if (!this.isPressed || call.isLetOn) return true;
    this.#isAnyonePaused = true;
    call.pause();
    this.#arrangeSoon();
    return false;
  }

  #arrangeSoon(): void {
    if (this.#arranging !== undefined) return;
    this.#arranging = setTimeout(() => {
      this.#arranging = undefined;
      this.#arrange();
    }, arrangeEveryMs);
    this.#arranging.unref();
  }

  #arrange(): void {
    const { receivingBytes } = this.#limits;
    const isPressed = this.isPressed;
    let begun: { readonly call: HoldingCall; readonly missingBytes: number }[] = [];
    for (const call of this.#calls) {
      const { missingBytes } = call;
      if (missingBytes > 0) begun.push({ call, missingBytes });
    }
    if (isPressed) begun = begun.sort((a, b) => a.missingBytes - b.missingBytes);
    this.#isAnyonePaused = false;
    let room = isPressed ? receivingBytes - this.#heldBytes : Number.POSITIVE_INFINITY;
    for (const [place, { call, missingBytes }] of begun.entries()) {
      room -= missingBytes;
      // One always reads, so that a message of any size comes through.
      const hasRoom = room >= 0 || place === 0;
      call.isLetOn = hasRoom && isPressed;
      if (hasRoom === call.isPaused) {
        if (hasRoom) call.resume();
        else call.pause();
      }
      if (!hasRoom) this.#isAnyonePaused = true;
    }
  }

  #refuseLargest(): void {
    const { receivingBytes, windowBytes, retryDelayMs } = this.#limits;
    // Well below the limit, so that the next look is not at the next frame.
    const target = this.#mostBytes * (7 / 8);
    const byHeld = [...this.#calls].sort((a, b) => b.heldBytes - a.heldBytes);
    for (const call of byHeld) {
      if (this.#heldBytes <= target || call.heldBytes === 0) return;
      this.refusals.receivingBytes++;
      call.refuse({
        kind: 'overloaded',
        message: `the collector holds ${this.#heldBytes} bytes of messages that are not in the log, ${call.heldBytes} of them of this call; at most ${this.#mostBytes} are allowed (${receivingBytes}, receive.receivingBytes, and ${windowBytes * windowSlack} for flow control, receive.windowBytes); send smaller messages, or try again later`,
        retryDelayMs,
      });
    }
  }

  /**
   * Looks for messages that take too long. Called several times a second.
   * @param closedMs for how long nothing was read since the last time
   */
  sweep(closedMs: number): void {
    const nowMs = this.#monotonic();
    // A sweep that comes late is our delay, not the clients'.
    const elapsedMs = Math.min(Math.max(0, nowMs - this.#lastSweepMs - closedMs), mostSweepMs);
    this.#lastSweepMs = nowMs;
    const { messageMs, pressedMessageMs, retryDelayMs } = this.#limits;
    const isPressed = this.isPressed;
    for (const call of [...this.#calls]) {
      if (call.missingBytes === 0) continue;
      if (!call.isPaused) call.readingMs += elapsedMs;
      const limit = isPressed ? 'pressedMessageMs' : 'messageMs';
      const mostMs = isPressed ? pressedMessageMs : messageMs;
      if (call.readingMs <= mostMs) continue;
      this.refusals[limit]++;
      call.refuse({
        kind: isPressed ? 'overloaded' : 'unavailable',
        message: `the message is not complete after ${Math.round(call.readingMs)} ms, ${call.missingBytes} bytes are missing; ${mostMs} ms are allowed (receive.${limit}); send smaller messages`,
        retryDelayMs,
      });
    }
    if (this.isPressed || this.#isAnyonePaused) this.#arrange();
  }

  stop(): void {
    clearTimeout(this.#arranging);
  }
}
