import type { Clock, Timer } from '../clock.js';
import { type Deliverer, type DeliveryCounts, noCounts } from '../deliverer.js';
import { internalLimits } from '../limits.js';
import type { SpoolWriter } from './spool-writer.js';
import type { SpooledBuffer } from './spooled-buffer.js';

/**
 * A deliverer that has everything written to the spool as well, as soon as it is due; without another one behind it,
 * it is the offline mode.
 *
 * Invariants:
 * 1. A draft is frozen when it is full or old enough, whether or not the collector answers, as long as the disk keeps
 *    up; else it stays a draft, from which lesser events can still be dropped.
 * 2. Freezing and checksums never run within a log call.
 */
export class SpooledDelivery implements Deliverer {
  readonly counts: DeliveryCounts;
  readonly #inner: Deliverer | undefined;
  readonly #buffer: SpooledBuffer;
  readonly #spool: SpoolWriter;
  readonly #clock: Clock;
  readonly #requestAgeMs: number;
  #timer: { readonly timer: Timer; readonly dueMs: number } | undefined;
  #isStopped = false;

  constructor(parts: {
    /** Absent: offline. */
    inner: Deliverer | undefined;
    buffer: SpooledBuffer;
    spool: SpoolWriter;
    clock: Clock;
    requestAgeMs: number;
  }) {
    this.#inner = parts.inner;
    this.counts = parts.inner?.counts ?? noCounts();
    this.#buffer = parts.buffer;
    this.#spool = parts.spool;
    this.#clock = parts.clock;
    this.#requestAgeMs = parts.requestAgeMs;
  }

  noticeOpen(): void {
    if (this.#timer === undefined) this.#freezeIn(this.#requestAgeMs);
    this.#inner?.noticeOpen();
  }

  noticeSealed(): void {
    if (this.#spool.isReady) this.#freezeIn(0);
    this.#inner?.noticeSealed();
  }

  async waitFor(target: number, timeoutMs: number): Promise<boolean> {
    const remainingMs = this.#countdown(timeoutMs);
    this.#buffer.freezeAll();
    if (this.#inner !== undefined) return this.#inner.waitFor(target, timeoutMs);
    if (await this.#spool.settle(target, remainingMs())) await this.#sync(remainingMs());
    return false;
  }

  marked(timeoutMs: number): Promise<void> {
    return this.#inner?.marked(timeoutMs) ?? Promise.resolve();
  }

  /** The spool has nothing left to write, or there is room again. */
  noticeIdle(): void {
    if (!this.#spool.isReady) return;
    if (this.#buffer.hasSealed) this.#freezeIn(0);
    else this.#watchOpenDraft();
  }

  stop(): void {
    this.#isStopped = true;
    this.#clearTimer();
    this.#inner?.stop();
  }

  /** After `stop`: brings everything that is not acknowledged to the disk, as far as it can be, and counts the rest
   *  as lost, there too if possible. A disk that fails is tried again until the time is over. */
  async finish(): Promise<void> {
    const { spoolCloseMs, spoolCloseReserveMs } = internalLimits;
    const remainingMs = this.#countdown(spoolCloseMs);
    this.#buffer.freezeAll();
    this.#spool.hurry();
    // A disk that has no room for the events may have some for what says that they are lost.
    if (!(await this.#spool.settle(this.#buffer.logged, remainingMs() - 2 * spoolCloseReserveMs))) {
      this.#spool.appendBeyondLimit(this.#buffer.loseRest(this.#spool.takeUnwritten()));
      await this.#spool.settle(this.#buffer.logged, Math.max(0, remainingMs() - spoolCloseReserveMs));
    }
    await this.#sync(remainingMs());
    this.#buffer.close();
    await this.#spool.release(remainingMs());
  }

  /** The same, without waiting: while the process exits. */
  finishSync(): void {
    this.#buffer.freezeAll();
    for (const request of this.#spool.writeSync()) this.#buffer.written(request);
    const left = this.#spool.takeUnwritten();
    if (left.length > 0) {
      this.#spool.appendBeyondLimit(this.#buffer.loseRest(left));
      this.#spool.writeSync();
    }
    this.releaseSync();
    this.#buffer.close();
  }

  releaseSync(): void {
    this.#spool.releaseSync();
  }

  /** Everything is acknowledged: nothing is left behind but perhaps an empty folder, which goes. */
  release(): Promise<void> {
    return this.#spool.release(internalLimits.spoolCloseMs);
  }

  /** What is left of a time that begins now. */
  #countdown(timeoutMs: number): () => number {
    const endMs = this.#clock.monotonicMs() + timeoutMs;
    return () => Math.max(0, endMs - this.#clock.monotonicMs());
  }

  /** Brings what is written to the disk itself, so that it survives a power loss too; not beyond the time. */
  #sync(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#clock.clearTimer(timer);
        resolve();
      };
      const timer = this.#clock.setTimer(end, timeoutMs, true);
      // A disk that cannot sync has said so when it was written to, or the page cache has to do.
      void this.#spool.sync().then(end, end);
    });
  }

  #freezeIn(delayMs: number): void {
    if (this.#isStopped) return;
    const dueMs = this.#clock.monotonicMs() + delayMs;
    if (this.#timer !== undefined && this.#timer.dueMs <= dueMs) return;
    this.#clearTimer();
    const timer = this.#clock.setTimer(() => {
      this.#timer = undefined;
      this.#freezeDue();
    }, delayMs);
    this.#timer = { timer, dueMs };
  }

  #freezeDue(): void {
    while (this.#spool.isReady && this.#buffer.freeze(this.#isOpenDraftDue()));
    // A disk that is not ready comes back by `noticeIdle`.
    if (this.#spool.isReady) this.#watchOpenDraft();
    this.#inner?.noticeSealed();
  }

  #watchOpenDraft(): void {
    const { openedMs } = this.#buffer;
    if (openedMs === undefined) return;
    this.#freezeIn(Math.max(0, this.#requestAgeMs - (this.#clock.monotonicMs() - openedMs)));
  }

  #isOpenDraftDue(): boolean {
    const { openedMs } = this.#buffer;
    // Half a millisecond, because timers fire on whole ones.
    return openedMs !== undefined && this.#clock.monotonicMs() - openedMs >= this.#requestAgeMs - 0.5;
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer.timer);
    this.#timer = undefined;
  }
}
