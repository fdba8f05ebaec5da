/**
 * Stops reading from the sockets while messages that are complete wait for the log: what is on its way then stays with
 * its sender and in the kernel, and costs the collector nothing. Without it a thousand producers that send at the same
 * moment had 45 MiB of messages waiting here, and as much again until V8 had collected them.
 *
 * Invariants:
 * 1. It closes only while messages wait that need nothing from any client to go on, so it always opens again.
 * 2. Time in which it is closed does not count against any client.
 * 3. While it is closed for long, as when the disk hangs, every connection is still read from time to time, so that none
 *    is taken for dead.
 */
import { innerLimits, type ReceiveLimits } from '../limits.js';

const { valveReadsAfterMs } = innerLimits.receive;

/** The connections, as far as reading goes. */
export interface ReadableConnections {
  stopReading(): void;
  startReading(): void;
  /** Reads from the next few connections what is there, while reading is stopped. Called from a timer. */
  readNext(): void;
}

export class Valve {
  readonly #limits: Pick<ReceiveLimits, 'waitingBytes'>;
  readonly #connections: ReadableConnections;
  readonly #monotonic: () => number;
  #waitingBytes = 0;
  #isClosed = false;
  /** When it was closed, and when it was last asked for how long it has been. */
  #closedAtMs = 0;
  #countedToMs = 0;
  /** For how long it has been closed since then, but for the time it is closed now. */
  #closedMs = 0;

  constructor(
    limits: Pick<ReceiveLimits, 'waitingBytes'>,
    connections: ReadableConnections,
    monotonic: () => number,
  ) {
    this.#limits = limits;
    this.#connections = connections;
    this.#monotonic = monotonic;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** So many bytes more, or fewer, of complete messages wait for the log. */
  account(bytes: number): void {
    this.#waitingBytes += bytes;
    const { waitingBytes } = this.#limits;
    if (!this.#isClosed && this.#waitingBytes > waitingBytes) {
      this.#isClosed = true;
      this.#closedAtMs = this.#monotonic();
      this.#connections.stopReading();
    } else if (this.#isClosed && this.#waitingBytes <= waitingBytes / 2) {
      this.#isClosed = false;
      this.#closedMs += this.#monotonic() - Math.max(this.#closedAtMs, this.#countedToMs);
      this.#connections.startReading();
    }
  }

  /** Called several times a second. Returns for how many milliseconds it was closed since the last time. */
  sweep(): number {
    const nowMs = this.#monotonic();
    let closedMs = this.#closedMs;
    if (this.#isClosed) {
      closedMs += nowMs - Math.max(this.#closedAtMs, this.#countedToMs);
      if (nowMs - this.#closedAtMs > valveReadsAfterMs) this.#connections.readNext();
    }
    this.#closedMs = 0;
    this.#countedToMs = nowMs;
    return closedMs;
  }
}
