/** SIGKILL of the store at random moments under load, also while it starts. */
import { pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  name: 'kill-store',
  summary: 'SIGKILL of the store at random moments, also during its start',
  unit: 'kills',
  rounds: { short: 4, full: 75 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, { run: 'kill-store' });
    await rig.fleet.start();
    await rig.fleet.start();
    for (let round = 1; round <= rounds; round++) {
      if (rig.store.isUp && !random.chance(0.3)) await rig.commits();
      await pause(random.next() * 400);
      await rig.store.kill();
      const starting = rig.store.start();
      // A start takes about a second, most of it inside the engine.
      if (!random.chance(0.2)) await starting;
      context.progress(round, `${rig.fleet.acknowledged} acknowledged`);
    }
    await rig.store.kill();
    await rig.store.start();
    return rig.finish({ kills: rig.store.kills });
  },
};
