/**
 * Bit rot: the log's files of real runs are changed between two starts, again and again. No event that
 * was never logged may reach the store, no start may fail, and each number that is gone must be reported
 * once: by the collector, which knows what a damaged segment held, or by its producer, when the collector
 * asks for numbers that were acknowledged. A few rounds more with a real collector and a real store.
 */
import { armFaults } from '@sluice/collector/fault-points.js';
import { CrashingStorage } from '@sluice/collector/testing/crashing-storage.js';
import { readSegment, type SegmentReading } from '@sluice/collector/wal/segment-reader.js';
import { turn } from '../memory/life.js';
import { rot, rotKinds } from '../memory/rot.js';
import { rotRealLog } from '../memory/rot-real-log.js';
import { Tally, together } from '../memory/tally.js';
import { judge } from '../memory/verdict.js';
import { World } from '../memory/world.js';
import type { Random } from '../random.js';
import type { Scenario } from '../scenario.js';

const mostRestarts = 4;

/** A tail that is cut off is the same as one that a crash tore: that is all that can be said of it. */
const isTornTail = (warning: string): boolean => warning.includes('they are cut off');

async function endLife(world: World): Promise<void> {
  const draw = world.random.whole(0, 9);
  if (draw < 2) {
    void world.life.log.stop();
    for (let turns = 0; turns < 5; turns++) await turn();
  }
  if (draw < 8) world.kill();
  else world.powerLoss();
}

/** The one that is rotten already, or one; seldom the youngest, of which least is known. */
function chooseOne(of: { names: readonly string[]; rotten: ReadonlySet<string>; random: Random }): string {
  const again = of.names.find((name) => of.rotten.has(name));
  if (again !== undefined) return again;
  const isAny = of.names.length === 1 || of.random.chance(0.1);
  return of.random.pick(isAny ? of.names : of.names.slice(0, -1));
}

/** Whether the youngest file no longer names a producer that it named: then nobody knows of it any more. */
function forgetsProducer(name: string, before: Buffer | undefined, files: Map<string, Buffer>): boolean {
  const id = name.slice(0, -4);
  const after = readSegment(files.get(name) as Buffer, id);
  if (!after.opened || before === undefined) return true;
  const known = new Set([...after.durable.entries.map(({ key }) => key), ...namedIn(after)]);
  return [...namedIn(readSegment(before, id))].some((key) => !known.has(key));
}

function namedIn({ requests, producers }: SegmentReading): Set<string> {
  return new Set(
    requests.map(({ producerIndex }) => producers[producerIndex]?.identity.toString('latin1', 0, 16) ?? ''),
  );
}

/**
 * Changes some of the files, and adds their names to `rotten`. `isBeyond`: nobody can tell any more what the
 * log had, because several of its files are damaged, or the youngest no longer names one of its producers.
 */
function rotFiles(
  world: World,
  { rotten, most, isMany }: { rotten: Set<string>; most: number; isMany: boolean },
): { isBeyond: boolean; changes: number } {
  const { random } = world;
  const files = world.storage.files();
  const names = [...files.keys()].filter((name) => name.endsWith('.wal') && !name.includes('/')).sort();
  const youngest = names.at(-1) ?? '';
  const original = files.get(youngest);
  for (const name of rotten) if (!files.has(name)) rotten.delete(name);
  let changes = 0;
  if (names.length > 0) {
    const victims = isMany ? names : [chooseOne({ names, rotten, random })];
    for (let count = random.whole(1, Math.min(most, 4)); count > 0; count--) {
      const name = random.pick(victims);
      const before = files.get(name) as Buffer;
      files.set(name, rot(before, random.pick(rotKinds), random));
      rotten.add(name);
      changes++;
    }
  }
  if (random.chance(0.1)) {
    files.set(random.pick(['junk', 'ffffffff-ffff-7fff-bfff-ffffffffffff.wal', '.wal']), random.bytes(99));
  }
  world.replaceStorage(new CrashingStorage(() => random.next(), files));
  const isForgetful = rotten.has(youngest) && forgetsProducer(youngest, original, files);
  return { isBeyond: rotten.size > 1 || isForgetful, changes };
}

export const scenario: Scenario = {
  name: 'bit-rot',
  summary: 'flips, truncations and swapped blocks anywhere in the log; in memory, and a few in a real one',
  unit: 'changes',
  rounds: { short: 500, full: 20_000 },
  async run(context) {
    const { rounds, random, plant } = context;
    context.onEnd(() => armFaults(undefined));
    armFaults(plant === undefined ? undefined : { plant });
    const tally = new Tally();
    const figures = { histories: 0, 'damaged segments': 0, 'histories beyond accounting': 0, unknowable: 0 };
    let changes = 0;
    while (changes < rounds) {
      const world = new World(random.fork(figures.histories++), { commitChance: 0.2 });
      let isBeyond = false;
      const rotten = new Set<string>();
      // Mostly one file, as one bad sector does; sometimes many.
      const isMany = world.random.chance(0.2);
      for (let restarts = world.random.whole(1, mostRestarts); restarts > 0 && changes < rounds; restarts--) {
        if (await world.start()) await world.run(world.random.whole(40, 160));
        await endLife(world);
        const rotted = rotFiles(world, { rotten, most: rounds - changes, isMany });
        changes += rotted.changes;
        isBeyond ||= rotted.isBeyond;
      }
      if (await world.start()) await world.finish();
      const verdict = judge(world, { isBroken: true });
      const { store } = world;
      for (const [id, { problem }] of store.damaged) {
        if (![...world.storage.files().keys()].some((name) => name.startsWith(`damaged/${id}`))) {
          world.violations.push(`segment ${id} was damaged (${problem}) and is not kept`);
        }
      }
      figures['damaged segments'] += store.damaged.size;
      if (isBeyond) {
        // Then it must not make anything up, must not fail, and must say that something is damaged.
        figures['histories beyond accounting']++;
        figures.unknowable += verdict.lost;
        if (store.damaged.size === 0 && verdict.lost > 0 && !world.warnings.some(isTornTail)) {
          world.violations.push('numbers are gone, and no damage was reported');
        }
        const violations = [...world.violations, ...store.violations];
        tally.add(`history ${figures.histories}`, { ...verdict, lost: 0, duplicated: 0, violations });
      } else {
        if (store.vague > 0) world.violations.push('the collector could tell what was lost, and did not');
        tally.add(`history ${figures.histories}`, {
          ...verdict,
          violations: [...verdict.violations, ...world.violations],
        });
      }
      context.progress(changes);
    }
    const memory = tally.outcome({ ...figures, 'reported numbers': tally.reported });
    armFaults(undefined);
    // What a bug does to the bytes shows in memory already.
    if (plant !== undefined) return memory;
    return together(memory, await rotRealLog(context, rounds < 5000 ? 2 : 12));
  },
};
