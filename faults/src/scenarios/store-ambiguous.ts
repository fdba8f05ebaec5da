/**
 * INSERTs of which the collector cannot know whether they were committed: a proxy breaks connections,
 * keeps silent, answers in the store's place, or lets an INSERT arrive only after the collector was
 * told that its batch is not there. Answers to the in-doubt question get lost as well.
 */
import { becomes } from '../rig/deadline.js';
import { type InsertFault, InsertFaults, insertFaults } from '../rig/insert-faults.js';
import { Rig } from '../rig/rig.js';
import type { Exchange } from '../rig/store-proxy.js';
import type { Scenario } from '../scenario.js';

/** Long for a store on the same machine, short for one that never answers. */
const insertTimeoutMs = 400;
const roundTimeoutMs = 60_000;

export const scenario: Scenario = {
  name: 'store-ambiguous',
  summary:
    'INSERTs that are committed although they fail, that fail although the status is 200, or come late',
  unit: 'ambiguous inserts',
  rounds: { short: 27, full: 300 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, {
      run: 'store-ambiguous',
      withProxy: true,
      collector: { store: { insertTimeoutMs, queryTimeoutMs: 2000 } },
      // Losses in nearly every segment: their rows are inserts of their own, and as ambiguous.
      producers: { lossEvery: 101 },
    });
    const faults = new InsertFaults(random.fork(2));
    const seen = new Set<string>();
    const planned = new Map<string, InsertFault[]>();
    const next = (table: string): InsertFault => {
      // Each kind befalls each table as often as every other, in an order of the seed's.
      let kinds = planned.get(table) ?? [];
      if (kinds.length === 0) kinds = shuffled(insertFaults, () => random.next());
      planned.set(table, kinds);
      return kinds.pop() as InsertFault;
    };
    let lostAnswers = 0;
    rig.proxy.onExchange = async (exchange: Exchange): Promise<void> => {
      if (exchange.kind === 'in-doubt') {
        if (!random.chance(0.2)) return faults.question(exchange);
        lostAnswers++;
        return exchange.cut();
      }
      if (exchange.kind !== 'insert') return void (await exchange.pass());
      const batch = `${exchange.table} ${exchange.batchId}`;
      const isFirstTry = !seen.has(batch);
      seen.add(batch);
      if (!isFirstTry && (await faults.again(exchange))) return;
      const isWanted = faults.total < rounds && exchange.table !== 'producers';
      // One that failed before may fail again, but not for ever.
      if (isWanted && random.chance(isFirstTry ? 0.8 : 0.3))
        await faults.inflict(next(exchange.table), exchange);
      else await exchange.pass();
    };
    await Promise.all([rig.fleet.start(), rig.fleet.start()]);
    for (let done = 0; done < rounds; ) {
      const more = await becomes(() => faults.total > done, roundTimeoutMs);
      if (!more) throw new Error(`after ${done} ambiguous inserts no other came within ${roundTimeoutMs} ms`);
      done = Math.min(faults.total, rounds);
      context.progress(done, `${rig.fleet.acknowledged} acknowledged`);
    }
    const outcome = await rig.finish({
      lost_answers_of_questions: lostAnswers,
      ...Object.fromEntries(faults.counts),
    });
    if (faults.pending === 0) return outcome;
    const problem = `${faults.pending} batches were not sent again although their first INSERT had no answer`;
    return { ...outcome, violations: [...outcome.violations, problem] };
  },
};

function shuffled<Item>(items: readonly Item[], next: () => number): Item[] {
  return items
    .map((item) => ({ item, key: next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
