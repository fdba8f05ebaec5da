/**
 * An INSERT is committed, its answer is lost, and by the time of the next try the server's deduplication
 * window has moved past it: the token protects nothing any more, only the in-doubt question does.
 *
 * Directed: the proxy holds the batch back until other batches have gone by, in half of the rounds with
 * a kill of the collector in between, so that the log's replay asks.
 */
import { becomes } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Exchange } from '../rig/store-proxy.js';
import type { Scenario } from '../scenario.js';

const window = 2;
/** INSERTs of other batches into the same table until the held one may be asked for, or sent again. */
const passersBy = window + 2;
const roundTimeoutMs = 60_000;

/** The batch that is held, and what went by it. */
interface Held {
  readonly table: string;
  readonly batchId: string;
  passed: number;
  isThrough: boolean;
}

export const scenario: Scenario = {
  name: 'dedup-window',
  summary: "a batch in doubt is tried again after the server's deduplication window has moved past it",
  unit: 'batches in doubt',
  rounds: { short: 4, full: 40 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, {
      run: 'dedup-window',
      withProxy: true,
      // The held one occupies a lane of the collector; the others go by on the other lanes.
      collector: { store: { segmentsInFlight: 3 } },
      producers: { lossEvery: 101 },
    });
    const { collector, store, fleet, proxy, violations } = rig;
    for (const table of ['events', 'losses']) {
      await store.client.sql(
        `ALTER TABLE ${table} MODIFY SETTING non_replicated_deduplication_window = ${window}`,
      );
    }
    const now: { wantedTable: string | undefined; held: Held | undefined } = {
      wantedTable: undefined,
      held: undefined,
    };
    proxy.onExchange = async (exchange: Exchange): Promise<void> => {
      const { kind, table } = exchange;
      const { held } = now;
      if (held === undefined && kind === 'insert' && table === now.wantedTable) {
        now.held = { table, batchId: exchange.batchId, passed: 0, isThrough: false };
        await exchange.forward();
        return exchange.cut();
      }
      const isHeld = kind !== 'other' && table === held?.table && exchange.batchId === held.batchId;
      if (held !== undefined && isHeld && !held.isThrough) {
        // Neither a question nor another try reaches the store before the window has moved on.
        if (held.passed < passersBy) return exchange.cut();
        await exchange.pass();
        held.isThrough = true;
        return;
      }
      const answer = await exchange.pass();
      if (kind === 'insert' && table === held?.table && answer?.status === 200) held.passed++;
    };
    const whatHeld = (): string =>
      `batch ${now.held?.batchId} was not asked for within ${roundTimeoutMs} ms; ${now.held?.passed} others went by`;
    await Promise.all([fleet.start(), fleet.start()]);
    for (let round = 1; round <= rounds; round++) {
      now.held = undefined;
      // Mostly events: they are what it is about.
      now.wantedTable = random.chance(0.75) || round === 1 ? 'events' : 'losses';
      const isHolding = await becomes(() => now.held !== undefined, roundTimeoutMs);
      now.wantedTable = undefined;
      if (isHolding && round % 2 === 0) {
        await collector.kill();
        await collector.start();
      }
      const isThrough = isHolding && (await becomes(() => now.held?.isThrough === true, roundTimeoutMs));
      if (!isThrough) {
        violations.push(isHolding ? whatHeld() : `no batch came within ${roundTimeoutMs} ms`);
        break;
      }
      context.progress(round, `${fleet.acknowledged} acknowledged`);
    }
    return rig.finish({ window });
  },
};
