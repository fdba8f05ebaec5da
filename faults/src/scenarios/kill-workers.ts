/**
 * A collector of several workers: SIGKILL of one worker, of the primary alone (its workers end by themselves, beside
 * the next life that starts at once), or of all together; and each next life has another number of workers.
 */
import { pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

const workerCounts = [1, 2, 3] as const;

export const scenario: Scenario = {
  name: 'kill-workers',
  summary: 'SIGKILL of workers, their primary or all of them; the next start has another number of workers',
  unit: 'kills',
  rounds: { short: 6, full: 75 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, { run: 'kill-workers', workers: 2 });
    const { collector, fleet } = rig;
    // More connections than workers, so that each worker has some, and producers change workers when they connect anew.
    await Promise.all([fleet.start({ loggers: 4 }), fleet.start({ loggers: 4 })]);
    let workerKills = 0;
    for (let round = 1; round <= rounds; round++) {
      if (collector.isUp && !random.chance(0.3)) await rig.acknowledges();
      await pause(random.next() * 400);
      const workers = collector.workerIds;
      if (workers.length > 0 && random.chance(0.5)) {
        // The primary starts it again, perhaps not before the next kill.
        process.kill(random.pick(workers), 'SIGKILL');
        workerKills++;
      } else {
        collector.workers = random.pick(workerCounts.filter((count) => count !== collector.workers));
        const died = collector.kill();
        if (random.chance(0.5)) for (const id of workers) killIfAlive(id);
        await died;
        const starting = collector.start();
        if (!random.chance(0.2)) await starting;
      }
      context.progress(round, `${fleet.acknowledged} acknowledged`);
    }
    // One worker, which has to store what the logs of the others hold, and to remove them.
    collector.workers = 1;
    await collector.kill();
    await collector.start();
    return rig.finish({ kills: collector.kills, worker_kills: workerKills });
  },
};

function killIfAlive(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch {
    // It has ended by itself, as it should.
  }
}
