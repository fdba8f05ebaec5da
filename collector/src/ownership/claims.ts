/**
 * A worker's side of ownership: which producers it may append for, and the calls that wait to learn it.
 *
 * Invariants:
 * 1. `owns` is true only from a grant, once the log goes on behind the granted sequence, until the primary
 *    asks for the producer back or the log forgets it.
 * 2. `released` is said only after `owns` is false and the log has settled for good all that was appended:
 *    a failed write that is not cut off yet may still be there after a crash.
 * 3. While a claim is on its way, the producer's being forgotten here is not told: the claim decides.
 * 4. A call waits no longer than `claimMs`. A claim that is answered later serves the next call.
 */
import type { RefusalReason } from './ownership-table.js';

export type ClaimOutcome =
  | { readonly kind: 'granted' }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

/** The part of the log that a change of owner needs. */
export interface OwnedLog {
  adopt(key: string, sequence: number): Promise<void>;
  settled(): Promise<void>;
  durableOf(key: string): number;
  /** Seals soon what the open segment holds of the producer. */
  sealFor(key: string): void;
}

export interface PrimaryOffice {
  claim(key: string): void;
  released(key: string, sequence: number): void;
  forgotten(key: string): void;
}

interface Claim {
  readonly waiting: Set<(outcome: ClaimOutcome) => void>;
  isAdopting: boolean;
  /** Asked back before it was adopted. */
  isReleased: boolean;
}

const granted: ClaimOutcome = { kind: 'granted' };

export class Claims {
  readonly #log: OwnedLog;
  readonly #primary: PrimaryOffice;
  readonly #claimMs: number;
  readonly #owned = new Set<string>();
  readonly #claims = new Map<string, Claim>();

  constructor(options: { log: OwnedLog; primary: PrimaryOffice; claimMs: number }) {
    this.#log = options.log;
    this.#primary = options.primary;
    this.#claimMs = options.claimMs;
  }

  /** Whether requests of a producer, by its id as latin1 text, may be appended here now. */
  owns(key: string): boolean {
    return this.#owned.has(key);
  }

  /** Asks for a producer. Resolves when it is decided, or has taken too long. */
  claim(key: string): Promise<ClaimOutcome> {
    if (this.#owned.has(key)) return Promise.resolve(granted);
    let claim = this.#claims.get(key);
    if (claim === undefined) {
      claim = this.#begin(key);
      this.#primary.claim(key);
    }
    const { waiting } = claim;
    return new Promise((resolve) => {
      const settle = (outcome: ClaimOutcome): void => {
        clearTimeout(timeout);
        waiting.delete(settle);
        resolve(outcome);
      };
      const timeout = setTimeout(() => settle({ kind: 'refused', reason: 'moving' }), this.#claimMs);
      waiting.add(settle);
    });
  }

  /** The primary has made this worker the producer's owner. */
  async grant(key: string, sequence: number): Promise<void> {
    const claim = this.#claims.get(key) ?? this.#begin(key);
    claim.isAdopting = true;
    await this.#log.adopt(key, sequence);
    this.#claims.delete(key);
    if (claim.isReleased) {
      this.#primary.released(key, this.#log.durableOf(key));
      this.#settle(claim, { kind: 'refused', reason: 'moving' });
      return;
    }
    this.#owned.add(key);
    this.#settle(claim, granted);
  }

  refuse(key: string, reason: RefusalReason): void {
    const claim = this.#claims.get(key);
    if (claim === undefined || claim.isAdopting) return;
    this.#claims.delete(key);
    this.#settle(claim, { kind: 'refused', reason });
  }

  /** The primary asks for the producer back. */
  async release(key: string): Promise<void> {
    const claim = this.#claims.get(key);
    if (claim?.isAdopting === true) {
      claim.isReleased = true;
      return;
    }
    this.#owned.delete(key);
    await this.#log.settled();
    // A flush at the new owner cannot know of it.
    this.#log.sealFor(key);
    this.#primary.released(key, this.#log.durableOf(key));
  }

  /** The log has forgotten a producer that was silent for too long. */
  forget(key: string): void {
    if (this.#claims.has(key)) return;
    this.#owned.delete(key);
    this.#primary.forgotten(key);
  }

  /** No call waits any more. */
  stop(): void {
    for (const claim of this.#claims.values()) this.#settle(claim, { kind: 'refused', reason: 'moving' });
  }

  #begin(key: string): Claim {
    const claim: Claim = { waiting: new Set(), isAdopting: false, isReleased: false };
    this.#claims.set(key, claim);
    return claim;
  }

  #settle(claim: Claim, outcome: ClaimOutcome): void {
    for (const resolve of [...claim.waiting]) resolve(outcome);
  }
}
