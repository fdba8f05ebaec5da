/** Holds what the store has against what was acknowledged, number by number. */
import { kindOf } from './formula.js';
import type { LedgerRange } from './model-store.js';
import type { World } from './world.js';

export interface Verdict {
  readonly acknowledged: number;
  readonly stored: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly altered: number;
  /** Acknowledged events that the ledger reports as damaged, or that their producer told to be lost after a rewind. */
  readonly reported: number;
  readonly violations: readonly string[];
}

/** @param isBroken whether stored bytes were changed: then what is reported is not lost */
export function judge(world: World, { isBroken }: { isBroken: boolean }): Verdict {
  const { store, producers } = world;
  const violations = [...world.violations, ...store.violations];
  let acknowledged = 0;
  let lost = 0;
  let reported = 0;
  for (const producer of producers) {
    const { number } = producer;
    acknowledged += producer.acknowledged;
    const rows = store.rows.get(number) ?? new Set();
    const ledger = countByNumber(store.ledger.get(number) ?? []);
    const missing: number[] = [];
    const both: number[] = [];
    for (const sequence of rows) if (ledger.has(sequence)) both.push(sequence);
    for (let sequence = 1; sequence <= producer.acknowledged; sequence++) {
      const told = ledger.get(sequence) ?? '';
      if (rows.has(sequence)) continue;
      if (told === '') missing.push(sequence);
      else if (told.includes(' ')) violations.push(`${number}:${sequence} is reported twice: ${told}`);
      else if (told === 'damaged' || producer.isRepaired(sequence)) {
        reported++;
        if (!isBroken) missing.push(sequence);
      } else if ((told === 'rejected') !== (kindOf(number, sequence) === 'rejected')) {
        violations.push(`${number}:${sequence} is reported as ${told}, and is ${kindOf(number, sequence)}`);
      }
    }
    lost += missing.length;
    if (missing.length > 0) violations.push(`producer ${number} misses ${missing.slice(0, 10)}`);
    if (both.length > 0) violations.push(`producer ${number}: stored and reported: ${both.slice(0, 10)}`);
  }
  if (!isBroken && store.damaged.size > 0) {
    violations.push(`damage was reported although nothing was: ${JSON.stringify([...store.damaged])}`);
  }
  const { stored, duplicated, altered } = store;
  return { acknowledged, stored, lost, duplicated, altered, reported, violations };
}

/** What the ledger says of each number; more than one word where it says it twice. */
function countByNumber(ranges: readonly LedgerRange[]): Map<number, string> {
  const told = new Map<number, string>();
  for (const { first, last, origin } of ranges) {
    for (let sequence = first; sequence <= last; sequence++) {
      const before = told.get(sequence);
      told.set(sequence, before === undefined ? origin : `${before} ${origin}`);
    }
  }
  return told;
}
