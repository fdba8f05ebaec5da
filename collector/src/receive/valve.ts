/**
 * Stops reading from the sockets while messages that are complete wait for the log: what is on its way then stays with
 * its sender and in the kernel, and costs the collector nothing. Without it a thousand producers that send at the same
 * moment had 45 MiB of messages waiting here, and as much again until V8 had collected them.
 *
 * Invariants:
 * 1. It closes only while messages wait that need nothing from any client to go on, so it always opens again.
 * 2. While it is closed for long, as when the disk hangs, every connection is still read from time to time, so that none
 *    is taken for dead.
 */
import { innerLimits, type ReceiveLimits } from '../limits.js';

const { sweepMs, valveReadsAfterMs } = innerLimits.receive;

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
  #waitingBytes = 0;
  #isClosed = false;
  #closedSweeps = 0;

  constructor(limits: Pick<ReceiveLimits, 'waitingBytes'>, connections: ReadableConnections) {
    this.#limits = limits;
    this.#connections = connections;
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
      this.#closedSweeps = 0;
      this.#connections.stopReading();
    } else if (this.#isClosed && this.#waitingBytes <= waitingBytes / 2) {
      this.#isClosed = false;
      this.#connections.startReading();
    }
  }

  /** Called every `sweepMs`. */
  sweep(): void {
    if (!this.#isClosed) return;
    this.#closedSweeps++;
    if (this.#closedSweeps * sweepMs > valveReadsAfterMs) this.#connections.readNext();
  }
}
