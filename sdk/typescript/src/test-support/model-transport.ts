import { expectedSequenceKey, retryDelayKey } from '@sluice/proto';
import type { Clock } from '../clock.js';
import type { Call, CallFailure, CallOutcome, Transport } from '../transport/transport.js';
import { type CallModel, type CollectorModel, RefusedCall } from './collector-model.js';

export interface Faults {
  /** Whether this message ends the call before it is taken. */
  readonly breaksBefore?: () => boolean;
  /** Whether the call breaks after everything was stored, so that the answer is lost. */
  readonly losesAnswer?: () => boolean;
  /** Whether the answer never comes. */
  readonly hangs?: () => boolean;
  /** How long a message takes. */
  readonly delayMs?: () => number;
}

/** A transport straight into the model, with faults. Messages arrive one after another, in time. */
export class ModelTransport implements Transport {
  openCalls = 0;
  mostOpenCalls = 0;
  disconnects = 0;
  readonly #model: CollectorModel;
  readonly #clock: Clock;
  readonly #faults: Faults;

  constructor(model: CollectorModel, clock: Clock, faults: Faults = {}) {
    this.#model = model;
    this.#clock = clock;
    this.#faults = faults;
  }

  open(ended: (outcome: CallOutcome) => void): Call {
    const call: CallModel = this.#model.openCall();
    const waiting: (() => void)[] = [];
    let isOver = false;
    let isBusy = false;
    this.openCalls++;
    this.mostOpenCalls = Math.max(this.mostOpenCalls, this.openCalls);
    const end = (outcome?: CallOutcome): void => {
      if (isOver) return;
      isOver = true;
      this.openCalls--;
      if (outcome) ended(outcome);
    };
    const next = (): void => {
      const step = waiting.shift();
      isBusy = step !== undefined;
      if (step) this.#clock.setTimer(step, this.#faults.delayMs?.() ?? 0);
    };
    const enqueue = (step: () => void): void => {
      waiting.push(() => {
        if (isOver) return;
        step();
        next();
      });
      if (!isBusy) next();
    };
    return {
      write: (message, written) => {
        // As it stands now: a frozen request that changes later would be found out.
        const bytes = Buffer.from(message);
        enqueue(() => {
          if (this.#faults.breaksBefore?.()) return end(failed({ code: 14, message: 'broken' }));
          try {
            call.take(bytes);
          } catch (error) {
            return end(failed(failureOf(error)));
          }
          written();
        });
      },
      halfClose: () => {
        enqueue(() => {
          if (this.#faults.hangs?.()) return;
          if (this.#faults.losesAnswer?.()) return end(failed({ code: 14, message: 'answer lost' }));
          const { durable_sequence, duplicates } = call.response();
          const response = {
            durableSequence: Number(durable_sequence),
            duplicates: Number(duplicates),
            rejected: 0,
            callAgeMs: this.#model.callAgeMs,
          };
          end({ kind: 'acknowledged', response });
        });
      },
      cancel: () => end(),
    };
  }

  disconnect(): void {
    this.disconnects++;
  }
}

function failed(failure: CallFailure): CallOutcome {
  return { kind: 'failed', failure };
}

function failureOf(error: unknown): CallFailure {
  if (!(error instanceof RefusedCall)) throw error;
  const { code, message, metadata } = error.refusal;
  const expected = metadata[expectedSequenceKey];
  const delay = metadata[retryDelayKey];
  return {
    code,
    message,
    ...(expected !== undefined && { expectedSequence: Number(expected) }),
    ...(delay !== undefined && { retryDelayMs: Number(delay) }),
  };
}
