/**
 * Power losses, in memory: after each, the disk has one of all the states that it may have, from nothing
 * of what was not synced to all of it, with sectors torn, mixed and full of garbage, names undone, and
 * sizes ahead of the data. Between them the process is killed now and then, and a sync fails.
 */
import { armFaults } from '@sluice/collector/fault-points.js';
import { diskError } from '@sluice/collector/testing/crashing-storage.js';
import { Tally } from '../memory/tally.js';
import { judge } from '../memory/verdict.js';
import { World } from '../memory/world.js';
import type { Scenario } from '../scenario.js';

/** Crashes in one history. */
const mostCrashes = 8;

export const scenario: Scenario = {
  name: 'power-loss',
  summary: 'crash images of the log: unsynced writes dropped, torn, reordered, names lost; in memory',
  unit: 'crash images',
  rounds: { short: 200, full: 5000 },
  async run(context) {
    const { rounds, random, plant } = context;
    context.onEnd(() => armFaults(undefined));
    armFaults(plant === undefined ? undefined : { plant });
    const tally = new Tally();
    let images = 0;
    let kills = 0;
    let histories = 0;
    while (images < rounds) {
      const draws = random.fork(histories++);
      const commitChance = draws.pick([0.05, 0.3, 1]);
      const world = new World(draws, { segments: 'any size', commitChance });
      const crashes = Math.min(random.whole(1, mostCrashes), rounds - images);
      for (let crash = 0; crash < crashes; ) {
        world.storage.dieAt = world.storage.operations + world.random.whole(1, 120);
        if (world.random.chance(0.2)) {
          let left = world.random.whole(1, 3);
          world.storage.fault = (operation) =>
            operation === 'sync' && world.random.chance(0.1) && left-- > 0
              ? { error: diskError('EIO', 'fdatasync') }
              : undefined;
        }
        if (await world.start()) await world.run(world.random.whole(5, 150));
        if (world.random.chance(0.2)) {
          world.kill();
          kills++;
        } else {
          world.powerLoss();
          crash++;
          images++;
        }
      }
      if (await world.start()) await world.finish();
      tally.add(`history ${histories}`, judge(world, { isBroken: false }));
      context.progress(images);
    }
    return tally.outcome({ histories, kills });
  },
};
