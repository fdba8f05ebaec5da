/**
 * The wall clock of the collector and of the jobs steps back and forth by a day and runs across midnight
 * UTC, under load and with kills in between. Segment ids, partitions, in-doubt questions and the memory
 * of producers all depend on it. A round is a step.
 */
import { pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

const dayMs = 86_400_000;
const steps = [
  'day-forward',
  'day-back',
  'before-midnight',
  'machine',
  'hour-back',
  'two-days-forward',
] as const;

/** The offset that a step leads to, from the one before. */
function offsetAfter(step: (typeof steps)[number], offsetMs: number, leadMs: number): number {
  switch (step) {
    case 'day-forward':
      return offsetMs + dayMs;
    case 'two-days-forward':
      return offsetMs + 2 * dayMs;
    case 'day-back':
      return offsetMs - dayMs;
    case 'hour-back':
      return offsetMs - 3_600_000;
    case 'before-midnight': {
      // So that midnight comes `leadMs` later, in the middle of the load.
      const nowMs = Date.now() + offsetMs;
      return offsetMs + (dayMs - (nowMs % dayMs)) - leadMs;
    }
    case 'machine':
      return 0;
  }
}

export const scenario: Scenario = {
  name: 'clock',
  summary: 'the wall clock steps back and forth by a day and across midnight, with kills in between',
  unit: 'steps',
  rounds: { short: 8, full: 60 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, { run: 'clock', withClock: true, withProxy: true });
    const { collector, fleet, proxy } = rig;
    // Some questions after lost answers: they look in the partition that the batch's id names.
    proxy.onExchange = async (exchange) => {
      if (exchange.kind !== 'insert' || !random.chance(0.1)) return void (await exchange.pass());
      await exchange.forward();
      exchange.cut();
    };
    await Promise.all([fleet.start(), fleet.start()]);
    let offsetMs = 0;
    const crossed = new Set<number>();
    for (let round = 1; round <= rounds; round++) {
      const leadMs = random.whole(50, 300);
      const step = steps[(round - 1) % steps.length] as (typeof steps)[number];
      offsetMs = offsetAfter(step, offsetMs, leadMs);
      collector.clockOffsetMs = offsetMs;
      fleet.clockOffsetMs = offsetMs;
      const setting = { offsetMs };
      await Promise.all([
        collector.child.ask('setClock', setting),
        ...fleet.jobs.map(({ child }) => child.ask('setClock', setting)),
      ]);
      await pause(random.whole(200, 400));
      crossed.add(Math.floor((Date.now() + offsetMs) / dayMs));
      if (random.chance(0.4)) {
        await collector.kill();
        await collector.start();
      }
      if (random.chance(0.2)) {
        await fleet.kill(random.pick(fleet.jobs));
        await fleet.start();
      }
      context.progress(round, `${step}, ${fleet.acknowledged} acknowledged`);
    }
    const outcome = await rig.finish({ kills: collector.kills + fleet.kills, days: crossed.size });
    const { days } = await rig.store.client.row<{ days: number }>(
      'SELECT uniqExact(received_date) AS days FROM events',
    );
    if (days >= 2) return outcome;
    const problem = `all batches lie in ${days} partition: the steps did not reach the collector`;
    return { ...outcome, violations: [...outcome.violations, problem] };
  },
};
