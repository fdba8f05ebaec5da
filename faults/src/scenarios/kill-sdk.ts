/**
 * SIGKILL of jobs at random moments under load. What a dead job's SDK had told before it died is an
 * obligation; what it had not may be stored or not, but never twice and never with a hole.
 */
import { pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  name: 'kill-sdk',
  summary: 'SIGKILL of jobs that log, at random moments',
  unit: 'kills',
  rounds: { short: 6, full: 75 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, { run: 'kill-sdk', producers: { flushEveryMs: 50 } });
    await Promise.all([rig.fleet.start(), rig.fleet.start()]);
    for (let round = 1; round <= rounds; round++) {
      await pause(random.next() * 400);
      await rig.fleet.kill(random.pick(rig.fleet.jobs));
      await rig.fleet.start();
      context.progress(round, `${rig.fleet.acknowledged} acknowledged`);
    }
    return rig.finish({ kills: rig.fleet.kills });
  },
};
