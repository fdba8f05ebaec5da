/** A start must go on from whatever lies in the folder, and count nothing that is not on the disk. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type WalLimits, walLimits } from '../limits.js';
import { CrashingStorage, type DiskOperation, diskError } from '../testing/crashing-storage.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { producerId } from '../testing/wire.js';
import { Uuid7Source } from '../uuid7.js';
import { encodeFrameHeader, encodeSegmentPayload, frameSeed, frameType } from './frame.js';
import { type SealedSegment, WriteAheadLog } from './log.js';
import { isWhole, readSegment } from './segment-reader.js';
import { DirectoryStorage, type LogStorage } from './storage.js';

const key = (id: number): string => producerId(id).toString('latin1');
const encoded = (id: number): Buffer => Buffer.concat([Buffer.from([0x0a, 16]), producerId(id)]);
let nowMs = 1.7e12;

/** Numbers from 0 up to 1, from a seed. */
function draws(seed: number): () => number {
  let state = seed * 7919;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

async function open(
  storage: LogStorage,
  limits: Partial<WalLimits> = {},
): Promise<{ log: WriteAheadLog; sealed: SealedSegment[] }> {
  const sealed: SealedSegment[] = [];
  const log = new WriteAheadLog({
    storage,
    limits: { ...walLimits, segmentAgeMs: 3_600_000, segmentMostAgeMs: 3_600_000, ...limits },
    now: () => nowMs,
    monotonic: () => 0,
    makeIds: (floor) => new Uuid7Source(() => nowMs++, floor),
    onSealed: (segment) => sealed.push(segment),
    log: { warn: () => undefined, info: () => undefined },
  });
  await log.start();
  return { log, sealed };
}

function append(
  log: WriteAheadLog,
  first: number,
  last: number,
  bytes = 10,
): ReturnType<WriteAheadLog['synced']> {
  const head = { firstSequence: first, lastSequence: last, eventCount: last - first + 1 };
  log.append(
    { key: key(1), encoded: encoded(1) },
    { ...head, receivedUnixMs: 1.7e12, lossCount: 0, ledgerRows: 0, expansionBytes: 0, rejections: [] },
    Buffer.alloc(bytes, `${first}-${last}`),
  );
  return log.synced();
}

async function untilOpen(log: WriteAheadLog): Promise<void> {
  while (log.admission(1, key(1)).kind !== 'open') await new Promise((resolve) => setTimeout(resolve, 5));
}

test('what only the page cache has after a failed sync does not count at the next start until it is on the disk', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const first = new CrashingStorage(draws(seed));
    const { log } = await open(first);
    assert.equal(await append(log, 1, 1), 'durable');
    // The sync fails, and the process dies before it has cut the bytes off.
    first.fault = (operation: DiskOperation) =>
      operation === 'sync' || operation === 'truncate' ? { error: diskError('EIO', operation) } : undefined;
    // More than a page, which would be written with what comes later.
    assert.equal(await append(log, 2, 2, 9000), 'failed');
    const second = first.afterKill();
    const { log: next, sealed } = await open(second);
    const known = next.durableOf(key(1));
    const id = sealed[0]?.id as string;
    const bytes = second.afterPowerLoss().files().get(`${id}.wal`) as Buffer;
    const reading = readSegment(bytes, id);
    assert.equal(isWhole(reading), true, `seed ${seed}`);
    assert.equal(reading.requests.at(-1)?.lastSequence, known, `seed ${seed}`);
  }
});

test('a sync that fails while the last segment is finished is not believed when it is tried again', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const first = new CrashingStorage(draws(seed));
    const { log } = await open(first);
    assert.equal(await append(log, 1, 1), 'durable');
    first.fault = (operation: DiskOperation) =>
      operation === 'sync' || operation === 'truncate' ? { error: diskError('EIO', operation) } : undefined;
    assert.equal(await append(log, 2, 2, 9000), 'failed');
    const second = first.afterKill();
    let failures = 1;
    second.fault = (operation: DiskOperation) =>
      operation === 'sync' && failures-- > 0 ? { error: diskError('EIO', operation) } : undefined;
    const { log: next, sealed } = await open(second);
    await untilOpen(next);
    const known = next.durableOf(key(1));
    const id = sealed[0]?.id as string;
    const reading = readSegment(second.afterPowerLoss().files().get(`${id}.wal`) as Buffer, id);
    assert.equal(isWhole(reading), true, `seed ${seed}`);
    assert.equal(reading.requests.at(-1)?.lastSequence, known, `seed ${seed}`);
  }
});

test('a start whose disk does not let it seal the last segment refuses calls, and goes on by itself', async () => {
  for (const broken of ['write', 'sync', 'truncate'] as const) {
    const before = new MemoryStorage();
    await append((await open(before)).log, 1, 2);
    const storage = before.kill();
    storage.fail = (operation) => (operation === broken ? new Error('ENOSPC') : undefined);
    const { log, sealed } = await open(storage);
    assert.equal(log.admission(1, key(1)).kind, 'failing', broken);
    assert.equal(log.durableOf(key(1)), 0, 'nothing may count yet');
    assert.equal(sealed.length, 0);
    storage.fail = () => undefined;
    await untilOpen(log);
    assert.equal(log.durableOf(key(1)), 2);
    assert.equal(sealed.length, 1);
  }
});

test('a start that cannot read the last segment refuses calls, and goes on by itself', async () => {
  const before = new MemoryStorage();
  await append((await open(before)).log, 1, 2);
  const storage = before.kill();
  storage.fail = (operation) => (operation === 'read' ? diskError('EIO', 'read') : undefined);
  const { log } = await open(storage);
  const admission = log.admission(1, key(1));
  assert.equal(admission.kind === 'failing' && admission.problem, 'EIO: read');
  storage.fail = () => undefined;
  await untilOpen(log);
  assert.equal(log.durableOf(key(1)), 2);
});

test('a log of another version is refused and left alone', async () => {
  const id = '019343f2-5d00-7000-8000-000000000001';
  const payload = encodeSegmentPayload(id, 1.7e12);
  payload.write('1', 7, 'latin1');
  const header = encodeFrameHeader(frameType.segment, { seed: frameSeed(id), offset: 0 }, [payload]);
  const bytes = Buffer.concat([header, payload]);
  const storage = new MemoryStorage();
  storage.files.set(`${id}.wal`, { bytes, synced: bytes, nameSynced: true });
  await assert.rejects(open(storage), { code: 'log_corrupt', message: /version 1 .* reads version 2/ });
  assert.deepEqual([...storage.files.keys()], [`${id}.wal`]);
});

test('files that are no segments, and folders named like one, do not keep a log from starting', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-recovery-'));
  try {
    mkdirSync(join(folder, '019343f2-5d00-7000-8000-000000000001.wal'));
    writeFileSync(join(folder, 'ffffffff-ffff-7fff-bfff-ffffffffffff.wal'), 'far in the future');
    writeFileSync(join(folder, '019343f2-5d00-7000-8000-000000000002.wal.new'), 'half a start');
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    const { log } = await open(new DirectoryStorage(folder));
    assert.equal(await append(log, 1, 1), 'durable');
    await log.stop();
    await log.close();
    const names = readdirSync(folder);
    assert.equal(names.includes('019343f2-5d00-7000-8000-000000000002.wal.new'), false);
    assert.equal(names.includes('notes.txt'), true);
    const again = await open(new DirectoryStorage(folder));
    assert.equal(again.log.durableOf(key(1)), 1);
    await again.log.stop();
    await again.log.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('while the first frames of the youngest are broken, the one before it stays until a new one is open', async () => {
  const before = new MemoryStorage();
  const first = await open(before);
  await append(first.log, 1, 2);
  await first.log.sealNow();
  await append(first.log, 3, 3);
  const storage = before.kill();
  const [older, youngest] = [...storage.files.keys()].sort() as [string, string];
  (storage.files.get(youngest) as { bytes: Buffer }).bytes.fill(0, 0, 100);
  storage.fail = (operation) => (operation === 'create' ? new Error('ENOSPC') : undefined);
  const { log, sealed } = await open(storage);
  assert.deepEqual(
    sealed.map(({ id }) => `${id}.wal`),
    [older, youngest],
  );
  await log.release(older.slice(0, -4));
  assert.equal(storage.files.has(older), true);
  storage.fail = () => undefined;
  await untilOpen(log);
  assert.equal(storage.files.has(older), false);
  assert.equal(log.durableOf(key(1)), 3);
});

/** Any bytes whatever, under the names of segments. */
test('fuzz: a start never rejects, whatever the files hold', async () => {
  const draw = draws(11);
  const source = new MemoryStorage();
  const { log } = await open(source, { segmentEvents: 4 });
  for (let sequence = 1; sequence <= 12; sequence++) await append(log, sequence, sequence);
  const whole = [...source.files.values()].map(({ bytes }) => bytes);
  for (let round = 0; round < 300; round++) {
    const storage = new MemoryStorage();
    for (let count = 1 + Math.floor(draw() * 3); count > 0; count--) {
      const id = new Uuid7Source(() => nowMs++).next();
      const template = whole[Math.floor(draw() * whole.length)] as Buffer;
      const bytes = draw() < 0.5 ? Buffer.from(template) : Buffer.alloc(Math.floor(draw() * 300));
      for (let change = Math.floor(draw() * 20); change > 0; change--) {
        if (bytes.length > 0) bytes[Math.floor(draw() * bytes.length)] = Math.floor(draw() * 256);
      }
      storage.files.set(`${id}.wal`, { bytes, synced: bytes, nameSynced: true });
    }
    const { log: started } = await open(storage);
    assert.equal(started.admission(1, key(1)).kind, 'open', `round ${round}`);
  }
});
