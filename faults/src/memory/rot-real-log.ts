/**
 * Bit rot with a real collector and a real store: the log's files are changed while the collector is
 * dead and segments wait, and SQL must say afterwards where each number is.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { judge } from '../oracle/judge.js';
import { becomes, pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Outcome, ScenarioContext } from '../scenario.js';
import { rot, rotKinds } from './rot.js';

const drainTimeoutMs = 120_000;

export async function rotRealLog(context: ScenarioContext, rounds: number): Promise<Outcome> {
  const random = context.random.fork(-1);
  const rig = await Rig.start(context, { run: 'bit-rot', producers: { loggers: 2, padBytes: 60 } });
  const { collector, store, fleet, violations } = rig;
  const folder = join(collector.dataDir, 'wal');
  await fleet.start();
  let changed = 0;
  for (let round = 0; round < rounds; round++) {
    await rig.acknowledges();
    // Without a store the segments stay.
    await store.kill();
    await pause(300 + random.whole(0, 300));
    await collector.kill();
    const names = readdirSync(folder)
      .filter((name) => name.endsWith('.wal'))
      .sort();
    if (names.length > 1) {
      const path = join(folder, random.pick(names.slice(0, -1)));
      const before = readFileSync(path);
      const after = rot(before, random.pick(rotKinds), random);
      writeFileSync(path, after);
      if (!after.equals(before)) changed++;
    }
    await store.start();
    await collector.start();
    await rig.commits();
  }
  await fleet.finish();
  await becomes(() => collector.segments <= 1, drainTimeoutMs, 100);
  await collector.end();
  if (collector.segments > 1) violations.push(`${collector.segments} segments are left after the end`);
  const verdict = await judge(store.client, fleet.accounts, { origins: ['sdk', 'collector'] });
  const { numbers, batches } = await store.client.row<{ numbers: number; batches: number }>(
    `SELECT sum(last_sequence - first_sequence + 1) AS numbers, uniqExact(batch_id) AS batches
     FROM losses WHERE origin = 'collector'`,
  );
  return {
    ...verdict,
    // A loss that an SDK reported may have been in what was damaged: then the collector reports it instead.
    violations: [
      ...verdict.violations.filter((text) => !text.includes('its SDK dropped')),
      ...violations,
      ...fleet.violations,
    ],
    figures: {
      'real files changed': changed,
      'real files kept aside': collector.damaged.length,
      'numbers in losses': Number(numbers),
      'damage reports': Number(batches),
    },
  };
}
