import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CollectorModel, overloaded } from '../test-support/collector-model.js';
import { failure, MemoryDisk } from '../test-support/memory-disk.js';
import { seededRandom } from '../test-support/random.js';
import { spoolLogger } from '../test-support/spool-logger.js';

/**
 * Lives of a job, one after the other, on one spool directory: random logs against a collector that fails, on a disk
 * that fails, and every life ends in a kill, a process.exit() or a close(). In the end everything that was in the
 * spool or acknowledged when its life ended must be at the collector, once, under its own number.
 */
const seeds = process.env['SLUICE_SEED']
  ? [Number(process.env['SLUICE_SEED'])]
  : Array.from({ length: 30 }, (_, index) => index + 1);

for (const [seed, encoding] of seeds.flatMap((seed) => [
  [seed, 'blocks'] as const,
  [seed, 'rows'] as const,
])) {
  test(`whatever ends a job, what it spooled arrives once (seed ${seed}, ${encoding})`, async () => {
    const random = seededRandom(seed);
    const chance = (probability: number): boolean => random() < probability;
    const disk = new MemoryDisk();
    const model = new CollectorModel();
    const faultRate = [0, 0.1, 0.4, 1][seed % 4]!;
    let isFaulty = true;
    let isDiskFaulty = false;
    disk.fault = (operation) => {
      const isSafe = operation === 'renameSync' || operation === 'close' || operation === 'rename';
      return isDiskFaulty && !isSafe && chance(0.2) ? failure('ENOSPC', operation) : undefined;
    };
    model.beforeMessage = () => {
      if (isFaulty && chance(faultRate / 5)) throw overloaded(chance(0.8) ? 300 : undefined);
    };
    const faults = {
      breaksBefore: () => isFaulty && chance(faultRate),
      losesAnswer: () => isFaulty && chance(faultRate),
      hangs: () => isFaulty && chance(faultRate / 5),
      delayMs: () => Math.floor(random() * 30),
    };
    const lives: { id: string; logged: number; safe: number; end: string; isExact: boolean; lost: number }[] =
      [];
    let startMs = 1_700_000_000_000;
    for (let life = 0; life < 6; life++) {
      isDiskFaulty = seed % 5 === 0 && chance(0.5);
      const mode = chance(0.15) ? 'offline' : 'online';
      const { logger, id, clock, run, within } = spoolLogger({
        options: {
          bufferBytes: 64 * 1024 * (1 + Math.floor(random() * 3)),
          requestBytes: 1024 + Math.floor(random() * 8192),
          callBytes: 1024 + Math.floor(random() * 32_768),
          spoolBytes: 1024 * 1024 * (chance(0.3) ? 1 : 100),
          ackTimeoutMs: 3000,
          mode,
          encoding,
        },
        faults,
        random,
        model,
        disk,
        startMs,
        takesOver: mode === 'online',
      });
      let sequence = 0;
      for (let round = 0; round < 10; round++) {
        const burst = chance(0.3) ? 1500 : Math.floor(random() * 40);
        for (let index = 0; index < burst; index++) {
          const severity = [5, 9, 9, 9, 13, 17][Math.floor(random() * 6)]!;
          logger.event('e', { text: 'x'.repeat(Math.floor(random() * 200)) }, { severity, step: ++sequence });
        }
        if (chance(0.2)) void logger.flush({ timeoutMs: 1000 });
        await run(Math.floor(random() * 800));
        assertBalanced(logger.stats());
      }
      // The end comes at any moment, also in the middle of what the disk does.
      for (let index = 0; index < 30; index++) logger.event('e', {}, { step: ++sequence });
      await clock.advance(Math.floor(random() * 400));
      for (let turns = Math.floor(random() * 5); turns > 0; turns--)
        await new Promise((done) => setImmediate(done));
      const end = ['kill', 'exit', 'close'][Math.floor(random() * 3)]!;
      if (end === 'close') await within(logger.close({ timeoutMs: 2000 }), 30_000);
      else if (end === 'exit') logger.abandon();
      const { acknowledged, spooledEvents, dropped, logged } = logger.stats();
      assertBalanced(logger.stats());
      assert.equal(logged, sequence);
      const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
      lives.push({
        id,
        logged,
        safe: acknowledged + spooledEvents,
        end,
        isExact: end !== 'kill' && !isDiskFaulty,
        lost,
      });
      disk.kill(random);
      startMs = clock.nowMs + 1000;
    }

    isFaulty = false;
    isDiskFaulty = false;
    const last = spoolLogger({ model, disk, startMs, takesOver: true });
    await last.run(5000);
    const isLeft = (): boolean => disk.files.size > 0 || [...disk.folders].some((path) => path !== '/spool');
    for (let round = 0; round < 40 && isLeft(); round++) await last.run(20_000);
    assert.deepEqual([...disk.files.keys()], [], 'everything was delivered and removed');
    await last.within(last.logger.close(), 10_000);
    assert.deepEqual(
      [...disk.folders],
      ['/spool'].filter((path) => disk.folders.has(path)),
    );
    assert.equal(last.clock.timers, 0, 'a closed logger leaves no timer');
    for (const { id, logged, safe, end, isExact, lost } of lives) {
      const fates = model.producers.get(id)?.fates ?? new Map();
      let events = 0;
      for (let sequence = 1; sequence <= fates.size; sequence++) {
        const fate = fates.get(sequence);
        assert.ok(fate, `${end}: no ${sequence} of ${fates.size}, of ${logged} that were logged`);
        if (!('event' in fate)) continue;
        events++;
        assert.equal(fate.event.step, String(sequence), 'an event under a number that is not its own');
      }
      assert.ok(events >= safe, `${end}: ${events} of ${safe} arrived`);
      if (!isExact) continue;
      assert.equal(fates.size, logged, `${end}: every number has a fate`);
      assert.equal(events, logged - lost, end);
    }
  });
}

function assertBalanced(stats: ReturnType<ReturnType<typeof spoolLogger>['logger']['stats']>): void {
  const lost = Object.values(stats.dropped).reduce((sum, count) => sum + count, 0);
  assert.equal(stats.logged, stats.acknowledged + lost + stats.bufferedEvents);
  assert.ok(stats.spooledEvents >= 0 && stats.spooledEvents <= stats.bufferedEvents, JSON.stringify(stats));
}
