import assert from 'node:assert/strict';
import { overloaded, RefusedCall } from './test-support/collector-model.js';
import { testEachEncoding } from './test-support/each-encoding.js';
import { seededRandom } from './test-support/random.js';
import type { TestLogger } from './test-support/test-logger.js';
import { decodeRequest } from './test-support/wire.js';

/**
 * Random logs, drops, failures, lost answers and poison against a collector in memory that holds the sequence
 * rules. At the end every number must have exactly one fate, and the counters must agree with what is stored.
 */
const seeds = process.env['SLUICE_SEED'] ? [Number(process.env['SLUICE_SEED'])] : range(40);

for (const seed of seeds) {
  testEachEncoding(
    `whatever happens on the way, every event is accounted for exactly once (seed ${seed})`,
    async (testLogger) => {
      const random = seededRandom(seed);
      const chance = (probability: number): boolean => random() < probability;
      let isFaulty = true;
      const poisonRate = seed % 3 === 0 ? 0.002 : 0;
      const faultRate = [0, 0.05, 0.3][seed % 3]!;
      const { logger, model, clock, transport } = testLogger({
        options: {
          bufferBytes: 64 * 1024 * (1 + Math.floor(random() * 3)),
          requestBytes: 1024 + Math.floor(random() * 8192),
          callBytes: 1024 + Math.floor(random() * 32_768),
          ackTimeoutMs: 3000,
        },
        random,
        faults: {
          breaksBefore: () => isFaulty && chance(faultRate),
          losesAnswer: () => isFaulty && chance(faultRate * 2),
          hangs: () => isFaulty && chance(faultRate / 3),
          delayMs: () => Math.floor(random() * 50),
        },
      });
      model.beforeMessage = (bytes) => {
        if (Buffer.from(bytes).includes('poison')) throw new RefusedCall(3, 'poison');
        if (isFaulty && chance(faultRate / 3)) throw overloaded(chance(0.8) ? 300 : undefined);
      };
      const frozen = new Map<string, string>();
      const logged = new Map<number, string>();
      const check = model.beforeMessage;
      model.beforeMessage = (bytes) => {
        // Byte for byte: what begins at a number is always the same, until it is given up as lost.
        const request = decodeRequest(bytes);
        delete request.producer;
        const lost = (request.losses ?? []).some(({ reason }) => reason === 'LOSS_REASON_REFUSED');
        const key = `${request.first_sequence} ${lost}`;
        const text = JSON.stringify(request);
        assert.equal(frozen.get(key) ?? text, text);
        frozen.set(key, text);
        check(bytes);
      };

      for (let round = 0; round < 60; round++) {
        const burst = chance(0.2) ? 1500 : Math.floor(random() * 40);
        for (let index = 0; index < burst; index++) {
          const severity = [5, 9, 9, 9, 13, 17][Math.floor(random() * 6)]!;
          const kind = random();
          if (kind < poisonRate) logger.event('e', { word: 'poison' }, { severity });
          else if (kind < 0.01) logger.event('e', { text: 'x'.repeat(2_000_000) }, { severity });
          else logger.event('e', { text: 'x'.repeat(Math.floor(random() * 100)) }, { severity });
          logged.set(logger.stats().logged, 'e');
        }
        if (chance(0.1)) void logger.flush({ timeoutMs: 1000 });
        await clock.advance(Math.floor(random() * 800));
        assertBalanced(logger.stats());
      }
      isFaulty = false;
      const flushed = logger.flush({ timeoutMs: 600_000 });
      await clock.advance(600_000);
      assert.deepEqual(await flushed, { acknowledged: true, pending: 0 });

      const fates = model.fates();
      const stats = logger.stats();
      assertBalanced(stats);
      assert.equal(fates.size, stats.logged);
      for (let sequence = 1; sequence <= stats.logged; sequence++)
        assert.ok(fates.has(sequence), `no ${sequence}`);
      const lost: Record<string, number> = {};
      for (const fate of fates.values()) {
        if ('loss' in fate) lost[fate.loss] = (lost[fate.loss] ?? 0) + 1;
      }
      for (const [reason, count] of Object.entries(stats.dropped)) {
        assert.equal(lost[`LOSS_REASON_${reason.toUpperCase()}`] ?? 0, count, reason);
      }
      assert.equal(model.events().length, stats.acknowledged);
      assert.equal(stats.bufferedBytes, 0);
      assert.ok(transport.mostOpenCalls <= 1, 'one call in flight');
      if (poisonRate === 0 && faultRate === 0) assert.equal(stats.resends, 0);
      await logger.close({ timeoutMs: 0 });
      assert.equal(clock.timers, 0, 'a closed logger leaves no timer');
    },
  );
}

function assertBalanced(stats: ReturnType<TestLogger['logger']['stats']>): void {
  const lost = Object.values(stats.dropped).reduce((sum, count) => sum + count, 0);
  assert.equal(stats.logged, stats.acknowledged + lost + stats.bufferedEvents);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
