import type { Clock, Timer } from '../clock.js';
import { grpcStatus } from '../transport/failure.js';
import type { Call, CallOutcome, Transport } from '../transport/transport.js';

/**
 * A transport that waits a moment before each call, on a timer that holds nothing: an open call keeps the process
 * alive, and in such a moment a process with nothing left to do of its own can end.
 */
export class PacedTransport implements Transport {
  readonly #inner: Transport;
  readonly #clock: Clock;
  readonly #pauseMs: number;

  constructor(inner: Transport, clock: Clock, pauseMs: number) {
    this.#inner = inner;
    this.#clock = clock;
    this.#pauseMs = pauseMs;
  }

  open(ended: (outcome: CallOutcome) => void): Call {
    let call: Call | undefined;
    const waiting: ((call: Call) => void)[] = [];
    const timer: Timer = this.#clock.setTimer(() => {
      try {
        call = this.#inner.open(ended);
      } catch (error) {
        const message = `no call could be made: ${String(error)}`;
        ended({ kind: 'failed', failure: { code: grpcStatus.UNAVAILABLE, message } });
        return;
      }
      for (const step of waiting) step(call);
    }, this.#pauseMs);
    const when = (step: (call: Call) => void): void => {
      if (call === undefined) waiting.push(step);
      else step(call);
    };
    return {
      write: (message, written) => when((open) => open.write(message, written)),
      halfClose: () => when((open) => open.halfClose()),
      cancel: () => {
        this.#clock.clearTimer(timer);
        call?.cancel();
      },
    };
  }

  disconnect(): void {
    this.#inner.disconnect();
  }
}
