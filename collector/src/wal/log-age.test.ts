/** When the log seals its open segment by itself, on clocks that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type WalLimits, walLimits } from '../limits.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { VirtualTime } from '../testing/virtual-time.js';
import { producerId } from '../testing/wire.js';
import { Uuid7Source } from '../uuid7.js';
import { WriteAheadLog } from './log.js';

const key = (id: number): string => producerId(id).toString('latin1');

class Rig {
  readonly time = new VirtualTime();
  readonly storage = new MemoryStorage();
  /** When each segment was sealed. */
  readonly sealedAtMs: number[] = [];
  /** How often a timer was set. */
  timersSet = 0;
  readonly log: WriteAheadLog;

  constructor(limits: Partial<WalLimits> = {}) {
    this.log = new WriteAheadLog({
      storage: this.storage,
      limits: { ...walLimits, ...limits },
      now: this.time.now,
      monotonic: () => this.time.elapsedMs,
      makeIds: (floor) => new Uuid7Source(this.time.now, floor),
      onSealed: () => this.sealedAtMs.push(this.time.elapsedMs),
      timers: {
        after: (ms, callback) => {
          this.timersSet++;
          return this.time.after(ms, callback);
        },
        sleep: (ms) => this.time.sleep(ms),
      },
      log: { warn: () => undefined, info: () => undefined },
    });
  }

  /** Appends the producer's next events and waits until they are durable. */
  async append(producer: number, eventCount = 1, text = 'request'): Promise<void> {
    const firstSequence = this.log.appendedOf(key(producer)) + 1;
    this.log.append(
      { key: key(producer), encoded: Buffer.concat([Buffer.from([0x0a, 16]), producerId(producer)]) },
      {
        receivedUnixMs: this.time.now(),
        firstSequence,
        lastSequence: firstSequence + eventCount - 1,
        eventCount,
        lossCount: 0,
        ledgerRows: 0,
        expansionBytes: 0,
        rejections: [],
      },
      Buffer.from(text),
    );
    await this.log.synced();
    await settled();
  }

  async advance(ms: number, stepMs = 50): Promise<void> {
    const endMs = this.time.elapsedMs + ms;
    while (this.time.elapsedMs < endMs) {
      this.time.advance(Math.min(stepMs, endMs - this.time.elapsedMs));
      await settled();
    }
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function started(limits?: Partial<WalLimits>): Promise<Rig> {
  const rig = new Rig(limits);
  await rig.log.start();
  return rig;
}

test('a segment that holds little is sealed at the longest age, counted from its first request', async () => {
  const rig = await started();
  await rig.advance(5000);
  await rig.append(1);
  await rig.advance(9_950);
  await rig.append(2);
  assert.deepEqual(rig.sealedAtMs, []);
  await rig.advance(50);
  assert.deepEqual(rig.sealedAtMs, [15_000]);
});

test('a segment that holds much is sealed at the short age', async () => {
  const rig = await started();
  await rig.append(1, 10_000);
  await rig.advance(950);
  assert.deepEqual(rig.sealedAtMs, []);
  await rig.advance(50);
  assert.deepEqual(rig.sealedAtMs, [1000]);
});

test('a segment that grows beyond what is little is sealed at once if it is old enough, or else when it is', async () => {
  const rig = await started({ segmentSmallBytes: 1000 });
  await rig.append(1, 6000);
  await rig.advance(3000);
  await rig.append(1, 6000);
  assert.deepEqual(rig.sealedAtMs, [3000]);
  await rig.append(1, 1);
  await rig.advance(400);
  await rig.append(1, 1, 'x'.repeat(1000));
  assert.equal(rig.sealedAtMs.length, 1);
  await rig.advance(600);
  assert.deepEqual(rig.sealedAtMs, [3000, 4000]);
  await rig.advance(60_000);
  assert.equal(rig.sealedAtMs.length, 2, 'and no timer of theirs is left');
});

test('a thousand tiny calls over a hundred seconds make ten segments and set ten timers', async () => {
  const rig = await started();
  for (let call = 0; call < 1000; call++) {
    await rig.append(1 + (call % 7));
    rig.time.advance(100);
    await settled();
  }
  assert.equal(rig.sealedAtMs.length, 10);
  assert.ok(rig.timersSet <= 11, `${rig.timersSet} timers`);
});

test('with equal ages every segment is sealed at that age', async () => {
  const rig = await started({ segmentMostAgeMs: 1000 });
  for (let call = 0; call < 100; call++) {
    await rig.append(1);
    await rig.advance(100);
  }
  assert.equal(rig.sealedAtMs.length, 10);
});

test('a producer that flushes has its segment sealed at once; nothing of it in the open one seals nothing', async () => {
  const rig = await started();
  await rig.append(1);
  await rig.advance(500);
  rig.log.sealFor(key(2));
  await settled();
  assert.deepEqual(rig.sealedAtMs, []);
  rig.log.sealFor(key(1));
  await settled();
  assert.deepEqual(rig.sealedAtMs, [500]);
  await rig.append(2);
  await rig.advance(500);
  rig.log.sealFor(key(1));
  await rig.advance(500);
  assert.deepEqual(rig.sealedAtMs, [500], 'what it brought is sealed already');
});

test('many who flush all the time share a seal every flushSealMs, and the last is not forgotten', async () => {
  const rig = await started({ flushSealMs: 200 });
  for (let call = 0; call < 1000; call++) {
    await rig.append(1 + (call % 20));
    rig.log.sealFor(key(1 + (call % 20)));
    await rig.advance(10, 10);
  }
  // The last may have come right after a seal.
  await rig.advance(200, 10);
  assert.ok(rig.sealedAtMs.length >= 48 && rig.sealedAtMs.length <= 52, `${rig.sealedAtMs.length} segments`);
  for (const [index, atMs] of rig.sealedAtMs.entries()) {
    if (index > 0) assert.ok(atMs - (rig.sealedAtMs[index - 1] as number) >= 200);
  }
  const { length } = rig.sealedAtMs;
  await rig.advance(60_000);
  assert.equal(rig.sealedAtMs.length, length, 'everything was in a segment that is sealed');
});

test('a flush finds what was durable before a failure of the log', async () => {
  const rig = await started();
  await rig.append(1);
  let failures = 1;
  rig.storage.fail = (operation) =>
    operation === 'write' && failures-- > 0 ? new Error('ENOSPC') : undefined;
  await rig.append(1);
  await rig.advance(1000);
  assert.equal(rig.log.durableOf(key(1)), 1);
  rig.log.sealFor(key(1));
  await settled();
  assert.equal(rig.sealedAtMs.length, 1);
});

test('stop seals what waits for its age, and a flush after it changes nothing', async () => {
  const rig = await started();
  await rig.append(1);
  await rig.log.stop();
  assert.deepEqual(rig.sealedAtMs, [0]);
  rig.log.sealFor(key(1));
  await rig.advance(60_000);
  assert.equal(rig.sealedAtMs.length, 1);
});
