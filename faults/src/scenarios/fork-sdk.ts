/**
 * Jobs in Python that fork while they log and send, at random moments, and are killed like their forks. A fork is
 * another producer that begins at 1: nothing of its parent's may come under its name, and nothing may be missing of
 * either that was acknowledged.
 */
import { pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  name: 'fork-sdk',
  summary: 'jobs fork at random moments, and both they and their forks are killed',
  unit: 'kills',
  rounds: { short: 6, full: 75 },
  onlyPython: true,
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, {
      run: 'fork-sdk',
      producers: { flushEveryMs: 50, loggers: 2, eventsPerSecond: 3000, forkEveryMs: 60 },
    });
    await Promise.all([rig.fleet.start(), rig.fleet.start()]);
    for (let round = 1; round <= rounds; round++) {
      await pause(300 + random.next() * 700);
      if (random.chance(0.3)) {
        await rig.collector.kill();
        await rig.collector.start();
      }
      await rig.fleet.kill(random.pick(rig.fleet.jobs));
      await rig.fleet.start();
      context.progress(round, `${rig.fleet.acknowledged} acknowledged, ${rig.fleet.forks} forks`);
    }
    return rig.finish({ kills: rig.fleet.kills, forks: rig.fleet.forks });
  },
};
