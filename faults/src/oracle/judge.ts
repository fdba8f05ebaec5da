/**
 * The conservation oracle: what was acknowledged is in the store once, unchanged, or in the ledger.
 *
 * 1. Every acknowledged number is in `events` once or in `losses` once: else it is lost or duplicated.
 * 2. Nothing, acknowledged or not, is there twice, and no number is an event and a loss.
 * 3. Every column that a producer filled is what event-formula.ts says: else the row is altered.
 * 4. There is no row of a producer that never was, no number beyond what an SDK logged, no hole
 *    without a loss, and no batch in two partitions.
 * 5. What an SDK that lived to its end counted is what the tables have, reason by reason.
 *
 * It runs inside the store in a handful of queries. Call it once nothing is on its way any more.
 */
import type { Outcome } from '../scenario.js';
import type { StoreClient } from '../store-client.js';
import type { ProducerAccount } from './account.js';
import { checkAlteration } from './alteration.js';
import { checkConservation } from './conservation.js';
import { writeExpectedProducers } from './expected-producers.js';
import { checkLedger, type LossOrigin } from './ledger.js';

export interface JudgeOptions {
  /** Who may have caused losses; by default only SDKs. */
  readonly origins?: readonly LossOrigin[];
}

export async function judge(
  store: StoreClient,
  accounts: readonly ProducerAccount[],
  options: JudgeOptions = {},
): Promise<Omit<Outcome, 'figures'>> {
  await writeExpectedProducers(store, accounts);
  const { stored, lost, duplicated, violations, storedOf, highestOf } = await checkConservation(store);
  const alteration = await checkAlteration(store);
  const ledger = await checkLedger(store, accounts, options.origins ?? ['sdk']);
  const final = accounts.flatMap(({ producerId, final }) => {
    if (final === undefined) return [];
    const highest = highestOf.get(producerId) ?? 0;
    const inEvents = storedOf.get(producerId) ?? 0;
    const problems: string[] = [];
    if (highest > final.logged)
      problems.push(`number ${highest} is there, but only ${final.logged} were logged`);
    if (inEvents !== final.acknowledged && options.origins === undefined)
      problems.push(`its SDK counts ${final.acknowledged} events as acknowledged, events has ${inEvents}`);
    return problems.map((problem) => `producer ${producerId}: ${problem}`);
  });
  return {
    acknowledged: accounts.reduce((sum, { acknowledgedThrough }) => sum + acknowledgedThrough, 0),
    stored,
    lost,
    duplicated,
    altered: alteration.altered,
    violations: [...violations, ...alteration.violations, ...ledger, ...final],
  };
}
