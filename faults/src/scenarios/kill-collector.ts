/** SIGKILL of the collector at random moments under load, also while it starts. */
import { pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  name: 'kill-collector',
  summary: 'SIGKILL of the collector at random moments, also during its start',
  unit: 'kills',
  rounds: { short: 6, full: 75 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, { run: 'kill-collector' });
    await rig.fleet.start();
    await rig.fleet.start();
    for (let round = 1; round <= rounds; round++) {
      // Most kills come while the load flows; some before it has found its way again, or during the start.
      if (rig.collector.isUp && !random.chance(0.3)) await rig.acknowledges();
      await pause(random.next() * 400);
      await rig.collector.kill();
      const starting = rig.collector.start();
      if (!random.chance(0.2)) await starting;
      context.progress(round, `${rig.fleet.acknowledged} acknowledged`);
    }
    await rig.collector.kill();
    await rig.collector.start();
    return rig.finish({ kills: rig.collector.kills });
  },
};
