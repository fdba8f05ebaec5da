/** SIGKILL of collector, store and jobs, one or several at once, also while they start. */
import { pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

const parts = ['collector', 'store', 'job'] as const;

export const scenario: Scenario = {
  name: 'kill-all',
  summary: 'SIGKILL of collector, store and jobs, also several at once and during starts',
  unit: 'rounds of kills',
  rounds: { short: 4, full: 75 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, { run: 'kill-all' });
    const { collector, store, fleet } = rig;
    await Promise.all([fleet.start(), fleet.start()]);
    const killOne = async (part: (typeof parts)[number]): Promise<unknown> => {
      // Several at once, but not in the same instant: what one does about another's death is hit too.
      await pause(random.next() * 60);
      if (part === 'job') {
        await fleet.kill(random.pick(fleet.jobs));
        return fleet.start();
      }
      const host = part === 'collector' ? collector : store;
      await host.kill();
      // Whether it is up when the next round kills it depends on the round's length: some are not.
      return random.chance(0.25) ? undefined : host.start();
    };
    for (let round = 1; round <= rounds; round++) {
      if (collector.isUp && !random.chance(0.3)) await rig.acknowledges();
      await pause(random.next() * 400);
      const first = random.pick(parts);
      const chosen = parts.filter((part) => part === first || random.chance(0.4));
      await Promise.all(chosen.map(killOne));
      // Those that were left dead come back while the next round begins.
      if (!collector.isAlive) void collector.start();
      if (!store.isAlive) void store.start();
      context.progress(round, `${fleet.acknowledged} acknowledged`);
    }
    await Promise.all([collector.kill(), store.kill()]);
    await store.start();
    await collector.start();
    return rig.finish({
      kills: collector.kills + store.kills + fleet.kills,
      kills_collector: collector.kills,
      kills_store: store.kills,
      kills_job: fleet.kills,
    });
  },
};
