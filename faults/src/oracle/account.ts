/** What the suite knows of one producer from outside: what it is, and what it was promised. */
import type { FormulaKey } from './event-formula.js';

export interface ProducerIdentity extends FormulaKey {
  /** `producer_id` in the tables. */
  readonly producerId: string;
  readonly project: string;
  readonly run: string;
  readonly job: string;
  readonly host: string;
  readonly attempt: number;
}

/** The SDK's own counters after a close in which everything was acknowledged. */
export interface FinalCounts {
  readonly logged: number;
  /** Events on the collector's disk. */
  readonly acknowledged: number;
  readonly dropped: Readonly<Record<string, number>>;
}

export interface ProducerAccount extends ProducerIdentity {
  /** Every number up to here was acknowledged: each is an obligation. */
  readonly acknowledgedThrough: number;
  /** Undefined for one that was killed: then more may be stored than it could tell us. */
  readonly final: FinalCounts | undefined;
}
