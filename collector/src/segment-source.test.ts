/** What of a damaged segment reaches the store, and what is reported instead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { walLimits } from './limits.js';
import type { Damage } from './record.js';
import { SegmentSource } from './segment-source.js';
import { MemoryStorage } from './testing/memory-storage.js';
import { producerId } from './testing/wire.js';
import { formatUuid, Uuid7Source } from './uuid7.js';
import { type SealedSegment, WriteAheadLog } from './wal/log.js';

const encoded = (id: number): Buffer => Buffer.concat([Buffer.from([0x0a, 16]), producerId(id)]);
const key = (id: number): string => producerId(id).toString('latin1');
let nowMs = 1.7e12;

interface Rig {
  readonly log: WriteAheadLog;
  readonly sealed: SealedSegment[];
  readonly storage: MemoryStorage;
}

async function open(storage: MemoryStorage): Promise<Rig> {
  const sealed: SealedSegment[] = [];
  const log = new WriteAheadLog({
    storage,
    limits: { ...walLimits, segmentAgeMs: 3_600_000, segmentMostAgeMs: 3_600_000 },
    now: () => nowMs,
    monotonic: () => 0,
    makeIds: (floor) => new Uuid7Source(() => nowMs++, floor),
    onSealed: (segment) => sealed.push(segment),
    log: { warn: () => undefined, info: () => undefined },
  });
  await log.start();
  return { log, sealed, storage };
}

async function append(log: WriteAheadLog, producer: number, first: number, last: number): Promise<void> {
  const head = { firstSequence: first, lastSequence: last, eventCount: last - first + 1 };
  log.append(
    { key: key(producer), encoded: encoded(producer) },
    { ...head, receivedUnixMs: 1.7e12, lossCount: 0, ledgerRows: 0, expansionBytes: 0, rejections: [] },
    Buffer.from(`request ${producer}:${first}-${last}.`),
  );
  assert.equal(await log.synced(), 'durable');
}

async function read(rig: Rig, index: number): Promise<{ read: string[]; lost: string[] | undefined }> {
  const source = new SegmentSource(rig.storage, 1000);
  return source.read(rig.sealed[index] as SealedSegment, ({ requests, bytes }, damage) => ({
    read: requests.map(({ start, end }) => bytes.toString('latin1', start + 8, end - 1)),
    lost: damage && lostOf(damage),
  }));
}

function lostOf({ ranges }: Damage): string[] {
  return ranges.map(
    ({ producerId: id, firstSequence, lastSequence }) =>
      `${Number.parseInt(formatUuid(id).slice(-4), 16)}:${firstSequence}-${lastSequence}`,
  );
}

function bytesOf(storage: MemoryStorage, id: string): Buffer {
  return storage.files.get(`${id}.wal`)?.bytes as Buffer;
}

/** Two sealed segments and an open one: producer 1 has 1-3 and 6-7 in the first, producer 2 has 1-2; and so on. */
async function threeSegments(): Promise<Rig> {
  const rig = await open(new MemoryStorage());
  await append(rig.log, 1, 1, 3);
  await append(rig.log, 2, 1, 2);
  await append(rig.log, 1, 4, 5);
  await append(rig.log, 1, 6, 7);
  await rig.log.sealNow();
  await append(rig.log, 3, 100, 105);
  await append(rig.log, 1, 8, 8);
  await rig.log.sealNow();
  await append(rig.log, 2, 3, 3);
  return rig;
}

test('of a sound segment nothing is lost', async () => {
  const rig = await threeSegments();
  assert.deepEqual(await read(rig, 0), { read: ['1:1-3', '2:1-2', '1:4-5', '1:6-7'], lost: undefined });
});

test('what lies behind a broken request is read, and only its own numbers are lost', async () => {
  const rig = await threeSegments();
  const bytes = bytesOf(rig.storage, rig.sealed[0]?.id ?? '');
  bytes[bytes.indexOf('1:4-5')] = 0;
  assert.deepEqual(await read(rig, 0), { read: ['1:1-3', '2:1-2', '1:6-7'], lost: ['1:4-5'] });
});

test('of a segment that is empty, or gone, the one behind it tells all that it held', async () => {
  for (const isGone of [false, true]) {
    const rig = await threeSegments();
    const name = `${rig.sealed[0]?.id}.wal`;
    if (isGone) rig.storage.files.delete(name);
    else (rig.storage.files.get(name) as { bytes: Buffer }).bytes = Buffer.alloc(0);
    assert.deepEqual(await read(rig, 0), { read: [], lost: ['1:1-7', '2:1-2'] });
  }
});

test('a producer that started late is not said to have lost what was before', async () => {
  const rig = await threeSegments();
  const bytes = bytesOf(rig.storage, rig.sealed[1]?.id ?? '');
  bytes.fill(0);
  assert.deepEqual(await read(rig, 1), { read: [], lost: ['1:8-8', '3:100-105'] });
});

test('if the one behind it lost its own start, the next but one tells', async () => {
  const rig = await threeSegments();
  const first = bytesOf(rig.storage, rig.sealed[0]?.id ?? '');
  first[first.indexOf('1:4-5')] = 0;
  bytesOf(rig.storage, rig.sealed[1]?.id ?? '').fill(0, 0, 150);
  assert.deepEqual((await read(rig, 0)).lost, ['1:4-5']);
});

test('a damaged segment keeps the one behind it on the disk, and that one no other', async () => {
  const rig = await threeSegments();
  const [first, second] = rig.sealed.map(({ id }) => id) as [string, string];
  await append(rig.log, 1, 9, 9);
  await rig.log.sealNow();
  const third = rig.sealed[2]?.id as string;
  await rig.log.release(second);
  await rig.log.release(third);
  assert.equal(rig.storage.files.has(`${second}.wal`), true);
  assert.equal(rig.storage.files.has(`${third}.wal`), false);
  await rig.log.setAside(first);
  assert.equal(rig.storage.files.has(`${second}.wal`), false);
  assert.equal(rig.storage.aside.has(`${first}.wal`), true);
});

test('damage to the youngest segment, found at a start, is told by the one that the start opens', async () => {
  const before = await open(new MemoryStorage());
  for (let sequence = 1; sequence <= 5; sequence++) await append(before.log, 1, sequence, sequence);
  const storage = before.storage.kill();
  const bytes = [...storage.files.values()][0]?.bytes as Buffer;
  bytes[bytes.indexOf('1:3-3')] = 0;
  const rig = await open(storage);
  assert.equal(rig.log.durableOf(key(1)), 5);
  assert.deepEqual(await read(rig, 0), { read: ['1:1-1', '1:2-2', '1:4-4', '1:5-5'], lost: ['1:3-3'] });
});

test('a damaged segment waits while no younger one is there to tell what it held', async () => {
  const before = await open(new MemoryStorage());
  for (let sequence = 1; sequence <= 3; sequence++) await append(before.log, 1, sequence, sequence);
  const storage = before.storage.kill();
  const bytes = [...storage.files.values()][0]?.bytes as Buffer;
  bytes[bytes.indexOf('1:1-1')] = 0;
  storage.fail = (operation) => (operation === 'create' ? new Error('ENOSPC') : undefined);
  const rig = await open(storage);
  await assert.rejects(read(rig, 0), { code: 'EAGAIN' });
  storage.fail = () => undefined;
  while (rig.log.admission(1, key(1)).kind !== 'open') await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual((await read(rig, 0)).lost, ['1:1-1']);
});
