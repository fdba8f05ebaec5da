/**
 * A disk that fails: every kind of operation in turn, at its n-th time, once, a few times or until it is
 * mended, with EIO and ENOSPC, with short writes, and with errors that come although the work was done.
 * Half of the histories lose power or are killed meanwhile.
 */
import { armFaults } from '@sluice/collector/fault-points.js';
import {
  type CrashingStorage,
  type DiskFault,
  type DiskOperation,
  diskError,
  diskOperations,
} from '@sluice/collector/testing/crashing-storage.js';
import { Tally } from '../memory/tally.js';
import { judge } from '../memory/verdict.js';
import { World } from '../memory/world.js';
import type { Random } from '../random.js';
import type { Scenario } from '../scenario.js';

const lengths = ['once', 'a few times', 'until mended'] as const;
const kinds = ['EIO', 'ENOSPC', 'done and EIO', 'short'] as const;

interface Plan {
  readonly operation: DiskOperation;
  readonly length: (typeof lengths)[number];
  readonly kind: (typeof kinds)[number];
}

/**
 * All combinations, one after the other; every third round is the one that other logs get wrong: a sync
 * fails once, and succeeds when it is called again.
 */
function planOf(round: number): Plan {
  if (round % 3 === 0) return { operation: 'sync', length: 'once', kind: 'EIO' };
  const turn = round - Math.floor(round / 3) - 1;
  const operation = diskOperations[turn % diskOperations.length] as DiskOperation;
  const rest = Math.floor(turn / diskOperations.length);
  const length = lengths[rest % lengths.length] as Plan['length'];
  return { operation, length, kind: kinds[Math.floor(rest / lengths.length) % kinds.length] as Plan['kind'] };
}

function isRare(operation: DiskOperation): boolean {
  return operation !== 'write' && operation !== 'sync' && operation !== 'remove' && operation !== 'close';
}

/** Returns how often it struck. */
function arm(storage: CrashingStorage, { operation, length, kind }: Plan, random: Random): () => number {
  // What happens a few times at each start or each end only, and what happens all the time.
  let before = random.whole(0, isRare(operation) ? 1 : 8);
  let left = length === 'once' ? 1 : length === 'a few times' ? random.whole(2, 5) : Number.POSITIVE_INFINITY;
  let struck = 0;
  storage.fault = (found): DiskFault | undefined => {
    if (found !== operation || before-- > 0 || left <= 0) return undefined;
    left--;
    struck++;
    if (kind === 'short') {
      if (operation === 'write') return { mostBytes: random.whole(0, 40) };
      return { error: diskError('EACCES', operation) };
    }
    if (kind === 'done and EIO') return { error: diskError('EIO', operation), isDone: true };
    return { error: diskError(kind, operation) };
  };
  return () => struck;
}

export const scenario: Scenario = {
  name: 'disk-errors',
  summary: 'errors and short writes at every operation of the log on its disk; in memory',
  unit: 'failing disks',
  rounds: { short: 150, full: 2000 },
  async run(context) {
    const { rounds, random, plant } = context;
    context.onEnd(() => armFaults(undefined));
    armFaults(plant === undefined ? undefined : { plant });
    const tally = new Tally();
    let struck = 0;
    let silent = 0;
    for (let round = 0; round < rounds; round++) {
      const draws = random.fork(round);
      // With a slow store, what the disk forgets was not stored before.
      const commitChance = draws.pick([0.05, 0.3, 1]);
      const world = new World(draws, { segments: 'any size', commitChance });
      const plan = planOf(round);
      let strikes = (): number => 0;
      // At a start what an earlier life left is read: half of the errors come in a first life, half later.
      if (world.random.chance(0.5)) {
        if (await world.start()) await world.run(world.random.whole(5, 80));
        world.kill();
      }
      strikes = arm(world.storage, plan, world.random);
      if (await world.start()) await world.run(world.random.whole(20, 120));
      const count = strikes();
      struck += count;
      if (count === 0) silent++;
      const ending = world.random.whole(0, 3);
      if (ending === 0) world.powerLoss();
      else if (ending === 1) {
        // What the next process finds in the page cache need not be on the disk.
        world.kill();
        if (await world.start()) await world.run(world.random.whole(0, 40));
        world.powerLoss();
      } else world.storage.fault = () => undefined;
      if (ending > 1 || (await world.start())) await world.finish();
      // And is it on the disk, too?
      world.powerLoss();
      if (await world.start()) await world.finish();
      const { operation, length, kind } = plan;
      tally.add(`round ${round} (${operation}, ${length}, ${kind})`, judge(world, { isBroken: false }));
      context.progress(round + 1);
    }
    return tally.outcome({ errors: struck, 'rounds without one': silent });
  },
};
