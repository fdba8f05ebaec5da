/**
 * What every event of the fault suite holds, as a function of its producer and its sequence number:
 * here for the producers that log it, and in formula-sql.ts for the store that checks it. Every column
 * that a producer can fill depends on the number, so that no two rows could be taken for each other.
 */

/** What tells a producer's events from another's. */
export interface FormulaKey {
  /** Of one producer alone in a run. */
  readonly rank: number;
  /** Bytes of an attribute that only adds weight; 0: it is left out. */
  readonly padBytes: number;
  /** Every so many events one is too large to be sent, so that losses travel too; 0: none. */
  readonly lossEvery: number;
  /** All events are INFO; by default severities are mixed, so that a full buffer evicts from the middle. */
  readonly isPlain?: boolean;
  /**
   * The event holds the number of its log call as the metric `call`, and everything else follows from that instead of
   * the sequence: for an SDK that gives drops their numbers a moment later than what is logged around them. Calls
   * must still ascend with the sequence.
   */
  readonly countsCalls?: boolean;
}

/** The arguments of one log call. */
export interface FormulaEvent {
  readonly name: string;
  readonly fields: Readonly<Record<string, number | string | boolean>>;
  readonly options: {
    readonly time: number;
    readonly severity: number;
    readonly body: string | undefined;
    readonly step: number | undefined;
    readonly traceId: string | undefined;
    readonly spanId: string | undefined;
  };
}

/** Time of sequence 0. Quarters of a millisecond are exact in a double, so nanoseconds come out exact. */
export const baseTimeMs = 1_700_000_000_000;
export const nanosPerSequence = 250_000;
export const severities = [5, 9, 13, 17, 9, 5] as const;
export const plainSeverity = 9;
/** Knuth's multiplier, 2^32 over the golden ratio, and another odd number: products modulo 2^32 are hash-like. */
export const hashFactors = { sequence: 2_654_435_761, rank: 40_503 } as const;

const tooLargeBytes = 1024 * 1024 + 1;
let tooLargeBody: string | undefined;

/** Whether the SDK cannot deliver this one: a loss `too_large`, or `buffer_full` if that came first. */
export function isTooLarge(key: FormulaKey, sequence: number): boolean {
  return key.lossEvery > 0 && sequence % key.lossEvery === 0;
}

export function eventOf(key: FormulaKey, sequence: number): FormulaEvent {
  const { rank, padBytes, isPlain } = key;
  const fields: Record<string, number | string | boolean> = {
    ...(key.countsCalls === true && { call: sequence }),
    hash: (Math.imul(sequence, hashFactors.sequence) + Math.imul(rank, hashFactors.rank)) >>> 0,
    half: sequence / 2,
    [`m${sequence % 11}`]: rank - sequence / 8,
    id: `${rank}-${sequence}`,
    phase: `p${sequence % 7}`,
  };
  if (sequence % 13 === 0) fields['peak'] = Number.POSITIVE_INFINITY;
  if (sequence % 2 === 0) fields['even'] = true;
  if (padBytes > 0) fields['pad'] = String.fromCharCode(97 + (sequence % 26)).repeat(padBytes);
  const isTraced = sequence % 16 === 0;
  return {
    name: `e${sequence % 5}`,
    fields,
    options: {
      time: baseTimeMs + (sequence * nanosPerSequence) / 1e6,
      severity: isPlain === true ? plainSeverity : (severities[sequence % severities.length] as number),
      body: bodyOf(key, sequence),
      step: sequence % 7 === 0 ? undefined : sequence % 2 === 0 ? -sequence : sequence,
      traceId: isTraced ? hex16(rank) + hex16(sequence) : undefined,
      spanId: isTraced ? hex16(sequence) : undefined,
    },
  };
}

function bodyOf(key: FormulaKey, sequence: number): string | undefined {
  if (isTooLarge(key, sequence)) {
    tooLargeBody ??= 'x'.repeat(tooLargeBytes);
    return tooLargeBody;
  }
  return sequence % 3 === 0 ? `event ${sequence} of rank ${key.rank}: größer ✓` : undefined;
}

function hex16(value: number): string {
  return value.toString(16).padStart(16, '0');
}
