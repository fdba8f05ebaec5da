import { internalLimits } from './limits.js';

export interface PaceSettings {
  readonly requestAgeMs: number;
  readonly callAgeMs: number;
  /** Whether the user named them. */
  readonly isRequestAgeGiven: boolean;
  readonly isCallAgeGiven: boolean;
}

/**
 * How old events get before they are sent, and before their acknowledgment is asked for: as the user said, or as the
 * collector asks, which knows how many producers it has; few get quick answers, and many cost it few calls.
 *
 * Invariants:
 * 1. What the user named is never changed.
 * 2. A collector that asks for nothing gets the defaults; until one has answered, a call asks at once, to learn its pace.
 */
export class Pace {
  readonly #settings: PaceSettings;
  /** What the collector asked for last; 0: it has not answered, or asks for nothing. */
  #askedMs = 0;
  #isAnswered = false;

  constructor(settings: PaceSettings) {
    this.#settings = settings;
  }

  /**
   * The age at which a request is sealed: the call's, because with one request a call its acknowledgment comes soonest,
   * or an equal part of it, because events are to leave the process within a second, however late the answer comes.
   */
  get requestAgeMs(): number {
    const { requestAgeMs, isRequestAgeGiven, isCallAgeGiven } = this.#settings;
    if (isRequestAgeGiven || isCallAgeGiven || this.#askedMs === 0) return requestAgeMs;
    return this.#askedMs / Math.ceil(this.#askedMs / internalLimits.askedRequestAgeMaxMs);
  }

  /** The age of its oldest event at which a call is half-closed for the acknowledgment. */
  get callAgeMs(): number {
    const { callAgeMs, isCallAgeGiven } = this.#settings;
    if (isCallAgeGiven) return callAgeMs;
    if (!this.#isAnswered) return 0;
    return this.#askedMs === 0 ? callAgeMs : this.#askedMs;
  }

  /** @param askedMs what came with an acknowledgment; 0 if nothing did */
  noticeAnswer(askedMs: number): void {
    this.#isAnswered = true;
    this.#askedMs = Math.min(askedMs, internalLimits.askedCallAgeMaxMs);
  }
}
