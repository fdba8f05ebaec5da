/**
 * Jobs with a spool directory are killed, with a collector that comes and goes, and some that are offline
 * altogether. What a job was told is acknowledged, or in its spool, must be stored once: brought by the
 * next job with that directory, or by `sluice sync`, which is killed as well.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { syncSpool } from '@sluice/sdk';
import { pause } from '../rig/deadline.js';
import type { Job } from '../rig/fleet.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

const commandLine = fileURLToPath(new URL('../../../collector/bin/sluice.js', import.meta.url));
/** The command has started by then, and is not done. */
const syncKillMs = { least: 300, most: 900 } as const;

export const scenario: Scenario = {
  name: 'spool',
  summary: 'SIGKILL of jobs that spool, of the collector that they cannot reach, and of sluice sync',
  unit: 'kills',
  rounds: { short: 6, full: 100 },
  async run(context) {
    const { random, rounds } = context;
    const spoolDir = join(context.folder, 'spool');
    const rig = await Rig.start(context, {
      run: 'spool',
      // A buffer so small that an outage must reach the disk.
      producers: {
        loggers: 2,
        eventsPerSecond: 4000,
        flushEveryMs: 50,
        sdk: { spoolDir, bufferBytes: 256 * 1024 },
      },
    });
    const { fleet, collector } = rig;
    const offline = new Set<Job>();
    const start = async (): Promise<void> => {
      const isOffline = random.chance(0.25);
      const job = await fleet.start(isOffline ? { sdk: { spoolDir, mode: 'offline' } } : {});
      if (isOffline) offline.add(job);
    };
    await Promise.all([start(), start()]);
    let outages = 0;
    for (let round = 1; round <= rounds; round++) {
      if (collector.isAlive && random.chance(0.5)) {
        await collector.kill();
        outages++;
      }
      await pause(random.next() * 500);
      await fleet.kill(random.pick(fleet.jobs));
      await start();
      if (!collector.isAlive && random.chance(0.6)) await collector.start();
      context.progress(round, `${fleet.acknowledged} acknowledged or spooled`);
    }
    if (!collector.isAlive) await collector.start();
    for (const job of [...fleet.jobs]) if (offline.has(job)) await fleet.kill(job);
    await fleet.finish();
    const killedSyncs = random.whole(1, 3);
    for (let sync = 0; sync < killedSyncs; sync++) {
      await killedSync(spoolDir, collector.endpoint, random.whole(syncKillMs.least, syncKillMs.most));
    }
    const { producers, isComplete } = await syncSpool(spoolDir, {
      endpoint: collector.endpoint,
      onDiagnostic: () => {},
    });
    if (!isComplete) {
      const left = producers.filter(({ state }) => state !== 'delivered').slice(0, 5);
      rig.violations.push(`the spool could not be delivered: ${JSON.stringify(left)}`);
    }
    const again = await syncSpool(spoolDir, { endpoint: collector.endpoint, onDiagnostic: () => {} });
    if (again.producers.length > 0) {
      rig.violations.push(`${again.producers.length} producers are in the spool after it was delivered`);
    }
    return rig.finish({ outages, killed_syncs: killedSyncs, synced_producers: producers.length });
  },
};

/** `sluice sync` in a process of its own, which is killed, unless it was done before. */
async function killedSync(spoolDir: string, endpoint: string, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, [commandLine, 'sync', spoolDir, '--endpoint', endpoint], {
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
  await ended;
  clearTimeout(timer);
}
