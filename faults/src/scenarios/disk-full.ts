/**
 * A disk without room. In memory: one that is too small, and fills and empties as the store takes
 * segments, with something else on it that grows and shrinks, through kills and power losses. Once with a
 * real collector on a real file system of a few MiB, whose store is away until the disk is full.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { armFaults } from '@sluice/collector/fault-points.js';
import { Tally, together } from '../memory/tally.js';
import { judge } from '../memory/verdict.js';
import { World } from '../memory/world.js';
import { becomes, pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Outcome, Scenario, ScenarioContext } from '../scenario.js';

/** Two full segments of the model's size and what their first frames take: below it nothing can go on. */
const leastBytes = 8000;
const fileSystemMiB = 8;

async function inMemory(context: ScenarioContext): Promise<Outcome> {
  const { rounds, random, plant } = context;
  armFaults(plant === undefined ? undefined : { plant });
  const tally = new Tally();
  const figures = { 'turns without room': 0, restarts: 0 };
  for (let round = 0; round < rounds; round++) {
    const world = new World(random.fork(round), { commitChance: 0.3 });
    const { random: draw } = world;
    const wholeBytes = draw.whole(leastBytes, 2 * leastBytes);
    for (let life = draw.whole(1, 3); life > 0; life--) {
      world.storage.budgetBytes = wholeBytes;
      if (await world.start()) {
        for (let part = draw.whole(2, 8); part > 0; part--) {
          // Something else takes what room there is, or gives it back.
          world.storage.budgetBytes = draw.chance(0.5)
            ? Math.min(wholeBytes, world.storage.usedBytes + draw.whole(0, 700))
            : wholeBytes;
          await world.run(draw.whole(5, 60));
          if (world.life.log.admission(1, '').kind === 'failing') figures['turns without room']++;
        }
      }
      if (life === 1) break;
      figures.restarts++;
      if (draw.chance(0.5)) world.kill();
      else world.powerLoss();
    }
    // There is room again, and nobody does anything about the log.
    world.storage.budgetBytes = wholeBytes;
    await world.finish();
    world.powerLoss();
    if (await world.start()) await world.finish();
    tally.add(`round ${round}`, judge(world, { isBroken: false }));
    context.progress(round + 1);
  }
  armFaults(undefined);
  return tally.outcome(figures);
}

/** Mounts a file system of a few MiB where the collector keeps its data. False if this process may not. */
function mountSmall(context: ScenarioContext): boolean {
  const directory = join(context.folder, 'collector');
  mkdirSync(directory);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${fileSystemMiB}m`, 'tmpfs', directory]);
  if (status !== 0) return false;
  context.onEnd(() => {
    // Lazy, should a process that is being killed still have a file open.
    if (spawnSync('umount', [directory]).status !== 0) spawnSync('umount', ['-l', directory]);
  });
  return true;
}

/** Fills what is left of the file system. */
function fill(path: string): void {
  for (let bytes = 1024 * 1024; bytes >= 1024; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes, 1), { flag: 'a' });
    } catch {
      // Full for pieces of this size.
    }
  }
}

async function onRealFileSystem(context: ScenarioContext): Promise<Outcome> {
  const rig = await Rig.start(context, {
    run: 'disk-full',
    producers: { loggers: 2, eventsPerSecond: 8000, padBytes: 200 },
  });
  const { collector, store, fleet, violations } = rig;
  const filler = join(collector.dataDir, 'filler');
  await fleet.start();
  await rig.acknowledges();
  await store.kill();
  const stalls = async (): Promise<boolean> => {
    const before = fleet.acknowledged;
    await pause(1500);
    return fleet.acknowledged === before;
  };
  if (!(await becomes(stalls, 120_000))) violations.push('the disk is full, and the collector acknowledges');
  const fullAt = collector.logMiB;
  fill(filler);
  await pause(500);
  // A start on a full disk, too: what it needs first is room for its lock.
  await collector.kill();
  await collector.start();
  await store.start();
  // Committing makes room, beside a filler that stays; then the filler goes, too.
  await rig.acknowledges();
  fill(filler);
  await pause(1000);
  rmSync(filler);
  await rig.acknowledges();
  return rig.finish({ realFileSystem: `${fileSystemMiB} MiB`, 'log when full, MiB': fullAt });
}

export const scenario: Scenario = {
  name: 'disk-full',
  summary: 'no room on the disk, in memory and once on a really full small file system',
  unit: 'full disks',
  rounds: { short: 50, full: 500 },
  async run(context) {
    context.onEnd(() => armFaults(undefined));
    const memory = await inMemory(context);
    if (!mountSmall(context)) {
      return { ...memory, figures: { ...memory.figures, realFileSystem: 'skipped: cannot mount' } };
    }
    return together(memory, await onRealFileSystem(context));
  },
};
