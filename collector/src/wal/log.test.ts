import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type WalLimits, walLimits } from '../limits.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { producerId } from '../testing/wire.js';
import { Uuid7Source } from '../uuid7.js';
import { type SealedSegment, WriteAheadLog } from './log.js';
import { readSegment, type SegmentReading } from './segment-reader.js';

const encoded = (id: number): Buffer => Buffer.concat([Buffer.from([0x0a, 16]), producerId(id)]);
const key = (id: number): string => producerId(id).toString('latin1');
const quiet = { warn: () => undefined, info: () => undefined };

interface Rig {
  readonly log: WriteAheadLog;
  readonly sealed: SealedSegment[];
  readonly storage: MemoryStorage;
  readonly clock: { now: number; mono: number };
}

async function open(
  storage: MemoryStorage,
  limits: Partial<WalLimits> = {},
  clock = { now: 1.7e12, mono: 0 },
): Promise<Rig> {
  const sealed: SealedSegment[] = [];
  const log = new WriteAheadLog({
    storage,
    limits: { ...walLimits, segmentAgeMs: 3_600_000, segmentMostAgeMs: 3_600_000, ...limits },
    now: () => clock.now,
    monotonic: () => clock.mono,
    makeIds: (floor) => new Uuid7Source(() => clock.now, floor),
    onSealed: (segment) => sealed.push(segment),
    log: quiet,
  });
  await log.start();
  return { log, sealed, storage, clock };
}

function append(log: WriteAheadLog, producer: number, first: number, last: number, text = 'request'): void {
  const eventCount = last - first + 1;
  const head = {
    receivedUnixMs: 1.7e12,
    firstSequence: first,
    lastSequence: last,
    eventCount,
    lossCount: 0,
    ledgerRows: 0,
    expansionBytes: 0,
    rejections: [],
  };
  log.append(
    { key: key(producer), encoded: encoded(producer) },
    head,
    Buffer.from(`${text} ${producer}:${first}-${last}`),
  );
}

function reading(storage: MemoryStorage, id: string): SegmentReading {
  return readSegment(storage.files.get(`${id}.wal`)?.bytes as Buffer, id);
}

/** Everything in a folder's segments, as producer:first-last. */
function contents(storage: MemoryStorage): string[] {
  return [...storage.files.keys()].sort().flatMap((name) => {
    const bytes = storage.files.get(name)?.bytes as Buffer;
    return readSegment(bytes, name.slice(0, -4)).requests.map(({ start, end }) =>
      bytes.toString('latin1', start, end).replace('request ', ''),
    );
  });
}

test('what was acknowledged survives a power loss, in order, with its durable sequences', async () => {
  const { log, storage } = await open(new MemoryStorage());
  append(log, 1, 1, 3);
  append(log, 2, 1, 1);
  append(log, 1, 4, 4);
  assert.equal(await log.synced(), 'durable');
  const after = await open(storage.crash());
  assert.deepEqual(contents(after.storage), ['1:1-3', '2:1-1', '1:4-4']);
  assert.equal(after.log.durableOf(key(1)), 4);
  assert.equal(after.log.durableOf(key(2)), 1);
  assert.equal(after.sealed.length, 1);
  assert.equal(after.sealed[0]?.recovered, true);
});

test('nothing is acknowledged before its sync has returned', async () => {
  const { log, storage } = await open(new MemoryStorage());
  append(log, 1, 1, 1);
  let durable = false;
  const waiting = log.synced().then(() => {
    durable = true;
    return contents(storage.crash());
  });
  storage.fail = (operation) => {
    if (operation === 'sync') assert.equal(durable, false);
    return undefined;
  };
  assert.deepEqual(await waiting, ['1:1-1']);
});

test('one sync serves all the requests that came in one turn', async () => {
  const { log, storage } = await open(new MemoryStorage());
  const before = storage.operations.filter((line) => line.startsWith('sync ')).length;
  for (let producer = 1; producer <= 50; producer++) append(log, producer, 1, 2);
  await log.synced();
  assert.equal(storage.operations.filter((line) => line.startsWith('sync ')).length - before, 1);
});

test('a segment is sealed when it has enough events, and its file never changes afterwards', async () => {
  const { log, storage, sealed } = await open(new MemoryStorage(), { segmentEvents: 10 });
  for (let first = 1; first <= 31; first += 4) append(log, 1, first, first + 3);
  await log.synced();
  await log.sealNow();
  const copies = sealed.map(({ id }) => Buffer.from(storage.files.get(`${id}.wal`)?.bytes as Buffer));
  append(log, 1, 33, 33);
  await log.synced();
  assert.deepEqual(
    sealed.map(({ id }) => reading(storage, id).eventCount),
    [8, 8, 8, 8],
  );
  for (const [index, { id }] of sealed.entries()) {
    assert.deepEqual(storage.files.get(`${id}.wal`)?.bytes, copies[index]);
    assert.equal(reading(storage, id).sealed, true);
  }
});

test('a request larger than a segment gets a segment of its own', async () => {
  const { log, sealed, storage } = await open(new MemoryStorage(), { segmentBytes: 1000 });
  append(log, 1, 1, 1, 'x'.repeat(5000));
  append(log, 1, 2, 2);
  await log.synced();
  await log.sealNow();
  assert.deepEqual(
    sealed.map(({ id }) => reading(storage, id).requests.length),
    [1, 1],
  );
});

test('durable sequences are carried from segment to segment, also when older ones are gone', async () => {
  const { log, storage, sealed } = await open(new MemoryStorage());
  append(log, 1, 1, 7);
  await log.synced();
  await log.sealNow();
  append(log, 2, 1, 1);
  await log.synced();
  await log.sealNow();
  for (const { id } of sealed) await log.release(id);
  assert.equal(storage.files.size, 1);
  const after = await open(storage.crash());
  assert.equal(after.log.durableOf(key(1)), 7);
  assert.equal(after.log.durableOf(key(2)), 1);
});

test('a torn tail is dropped and what was acknowledged before it stays', async () => {
  const { log, storage } = await open(new MemoryStorage());
  append(log, 1, 1, 1);
  await log.synced();
  const whole = Buffer.from([...storage.files.values()][0]?.bytes as Buffer);
  append(log, 1, 2, 2);
  await log.synced();
  const name = [...storage.files.keys()][0] as string;
  const longer = storage.files.get(name)?.bytes as Buffer;
  for (let length = whole.length; length < longer.length; length++) {
    const torn = storage.kill();
    (torn.files.get(name) as { bytes: Buffer }).bytes = longer.subarray(0, length);
    const after = await open(torn);
    assert.deepEqual(contents(after.storage), ['1:1-1'], `cut at ${length}`);
    assert.equal(after.log.durableOf(key(1)), 1);
  }
});

test('a second crash before a torn segment is committed leaves it whole and sealed', async () => {
  const { log, storage } = await open(new MemoryStorage());
  append(log, 1, 1, 2);
  await log.synced();
  const name = [...storage.files.keys()][0] as string;
  const torn = storage.kill();
  const file = torn.files.get(name) as { bytes: Buffer };
  file.bytes = Buffer.concat([file.bytes, Buffer.from('half a frame')]);
  const once = await open(torn);
  const twice = await open(once.storage.crash());
  assert.deepEqual(contents(twice.storage), ['1:1-2']);
  assert.equal(reading(twice.storage, name.slice(0, -4)).sealed, true);
  assert.equal(reading(twice.storage, name.slice(0, -4)).unreadBytes, 0);
});

test('damage in the middle of the youngest segment stays as it is; what can be read counts, also behind it', async () => {
  const { log, storage } = await open(new MemoryStorage());
  for (let first = 1; first <= 5; first++) {
    append(log, 1, first, first);
    await log.synced();
  }
  const name = [...storage.files.keys()][0] as string;
  const damaged = storage.kill();
  const file = damaged.files.get(name) as { bytes: Buffer };
  file.bytes = Buffer.from(file.bytes);
  const at = file.bytes.indexOf('1:3-3');
  file.bytes[at] = 0;
  const before = Buffer.from(file.bytes);
  const after = await open(damaged);
  assert.deepEqual(contents(after.storage), ['1:1-1', '1:2-2', '1:4-4', '1:5-5']);
  assert.equal(after.log.durableOf(key(1)), 5);
  assert.deepEqual(after.storage.files.get(name)?.bytes, before);
  await after.log.setAside(name.slice(0, -4));
  assert.deepEqual(after.storage.aside.get(name), before);
});

test('a torn request of many megabytes is a torn tail, not damage', async () => {
  const { log, storage } = await open(new MemoryStorage());
  append(log, 1, 1, 1);
  await log.synced();
  // Bytes like those of encoded events: small numbers, many of them frame types.
  const state = { value: 1 };
  const text = Buffer.alloc(6_000_000, 0).map(() => {
    state.value = (Math.imul(state.value, 1664525) + 1013904223) >>> 0;
    return state.value >>> 29;
  });
  append(log, 1, 2, 2, Buffer.from(text).toString('latin1'));
  await log.synced();
  const torn = storage.kill();
  const file = [...torn.files.values()][0] as { bytes: Buffer };
  file.bytes = file.bytes.subarray(0, file.bytes.length - 1000);
  const after = await open(torn);
  assert.deepEqual(contents(after.storage), ['1:1-1']);
  assert.equal(torn.aside.size, 0);
});

test('recovery syncs what an earlier process only wrote, before it counts', async () => {
  const { log, storage } = await open(new MemoryStorage());
  append(log, 1, 1, 1);
  await log.synced();
  storage.fail = (operation) => (operation === 'sync' ? new Error('EIO') : undefined);
  append(log, 1, 2, 2);
  assert.equal(await log.synced(), 'failed');
  const killed = storage.kill();
  storage.fail = () => undefined;
  const name = [...killed.files.keys()][0] as string;
  const after = await open(killed);
  const durable = after.log.durableOf(key(1));
  const lost = after.storage.crash();
  assert.equal(
    readSegment(lost.files.get(name)?.bytes as Buffer, name.slice(0, -4)).requests.at(-1)?.lastSequence,
    durable,
  );
});

test('after a failed sync nothing of it is acknowledged, nothing of it stays, and the log goes on', async () => {
  for (const broken of ['write', 'sync'] as const) {
    const { log, storage } = await open(new MemoryStorage());
    append(log, 1, 1, 5);
    await log.synced();
    // Healing syncs but does not write: only a sync can fail twice.
    let failures = broken === 'sync' ? 2 : 1;
    storage.fail = (operation) => (operation === broken && failures-- > 0 ? new Error('EIO') : undefined);
    const generation = log.generation;
    append(log, 1, 6, 9);
    assert.equal(await log.synced(), 'failed');
    assert.equal(log.appendedOf(key(1)), 5);
    assert.notEqual(log.generation, generation);
    while (log.admission(1, key(1)).kind !== 'open') await new Promise((resolve) => setTimeout(resolve, 5));
    append(log, 1, 6, 8);
    assert.equal(await log.synced(), 'durable');
    assert.deepEqual(contents(storage.crash()), ['1:1-5', '1:6-8'], broken);
  }
});

test('a short write is finished', async () => {
  const { log, storage } = await open(new MemoryStorage());
  storage.fail = (operation) => (operation === 'write' ? 7 : undefined);
  append(log, 1, 1, 2);
  append(log, 2, 1, 2);
  assert.equal(await log.synced(), 'durable');
  assert.deepEqual(contents(storage.crash()), ['1:1-2', '2:1-2']);
});

test('the disk budget refuses before it is overrun and opens again after a release', async () => {
  const { log, sealed } = await open(new MemoryStorage(), { diskBytes: 3000 });
  append(log, 1, 1, 1, 'x'.repeat(2000));
  await log.synced();
  assert.equal(log.admission(2000, key(1)).kind, 'disk_budget_spent');
  await log.sealNow();
  await log.release((sealed[0] as SealedSegment).id);
  assert.equal(log.admission(2000, key(1)).kind, 'open');
});

test('ids ascend although the clock steps back by a day, over a restart too', async () => {
  const rig = await open(new MemoryStorage());
  append(rig.log, 1, 1, 1);
  await rig.log.synced();
  await rig.log.sealNow();
  rig.clock.now -= 86_400_000;
  append(rig.log, 1, 2, 2);
  await rig.log.synced();
  await rig.log.sealNow();
  const after = await open(rig.storage.crash(), {}, { now: rig.clock.now, mono: 0 });
  append(after.log, 1, 3, 3);
  await after.log.synced();
  await after.log.sealNow();
  assert.deepEqual(contents(after.storage), ['1:1-1', '1:2-2', '1:3-3']);
});

test('a clock that steps a year ahead makes the log forget no producer; silence does', async () => {
  const rig = await open(new MemoryStorage(), { producerIdleMs: 1000 });
  append(rig.log, 1, 1, 1);
  await rig.log.synced();
  rig.clock.now += 365 * 86_400_000;
  append(rig.log, 2, 1, 1);
  await rig.log.synced();
  await rig.log.sealNow();
  assert.equal(rig.log.durableOf(key(1)), 1);
  rig.clock.mono += 5000;
  append(rig.log, 3, 1, 1);
  await rig.log.synced();
  await rig.log.sealNow();
  assert.equal(rig.log.durableOf(key(1)), 0);
});

test('a batch opened after midnight is dated by the new day', async () => {
  const rig = await open(new MemoryStorage());
  rig.clock.now += 86_400_000;
  append(rig.log, 1, 1, 1);
  await rig.log.synced();
  await rig.log.sealNow();
  const id = (rig.sealed[0] as SealedSegment).id;
  assert.equal(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16), rig.clock.now);
});

test('stop hands on what is there and a restart finds it', async () => {
  const rig = await open(new MemoryStorage());
  append(rig.log, 1, 1, 2);
  await rig.log.stop();
  assert.equal(rig.sealed.length, 1);
  assert.equal(rig.log.admission(1, key(1)).kind, 'stopped');
  await rig.log.close();
  const after = await open(rig.storage.crash());
  assert.deepEqual(
    after.sealed.map(({ id }) => id),
    rig.sealed.map(({ id }) => id),
  );
});

test('a full disk empties as the store commits, although no segment can be opened', async () => {
  const { log, storage, sealed } = await open(new MemoryStorage());
  for (let first = 1; first <= 3; first++) {
    append(log, 1, first, first);
    await log.synced();
    if (first < 3) await log.sealNow();
  }
  // As a full file system: nothing new fits while more than two files are there.
  storage.fail = (operation) =>
    operation === 'create' && storage.files.size >= 2 ? new Error('ENOSPC') : undefined;
  void log.sealNow();
  while (sealed.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  while (log.admission(1, key(1)).kind !== 'failing') await new Promise((resolve) => setTimeout(resolve, 5));
  for (const { id } of sealed) await log.release(id);
  while (log.admission(1, key(1)).kind !== 'open') await new Promise((resolve) => setTimeout(resolve, 5));
  append(log, 1, 4, 4);
  assert.equal(await log.synced(), 'durable');
  assert.deepEqual(contents(storage.crash()), ['1:4-4']);
});

test('a start on a full disk hands its segments on, and opens one when there is room', async () => {
  const before = await open(new MemoryStorage());
  append(before.log, 1, 1, 1);
  await before.log.synced();
  const storage = before.storage.kill();
  storage.fail = (operation) => (operation === 'create' ? new Error('ENOSPC') : undefined);
  const { log, sealed } = await open(storage);
  assert.equal(sealed.length, 1);
  assert.equal(log.admission(1, key(1)).kind, 'failing');
  storage.fail = () => undefined;
  while (log.admission(1, key(1)).kind !== 'open') await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(log.durableOf(key(1)), 1);
});

test('a log whose seal fails again and again waits longer and longer, and ends when it is asked to', async () => {
  const { log, storage } = await open(new MemoryStorage());
  append(log, 1, 1, 1);
  await log.synced();
  storage.fail = (operation) => (operation === 'write' ? new Error('ENOSPC') : undefined);
  const before = storage.operations.length;
  void log.sealNow();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(storage.operations.length - before < 30, `${storage.operations.length - before} operations`);
  await log.stop();
  assert.deepEqual(contents(storage.crash()), ['1:1-1']);
});

test('a rename that reports an error although it was done leaves no file behind', async () => {
  const { log, storage, sealed } = await open(new MemoryStorage());
  append(log, 1, 1, 1);
  await log.synced();
  let left = 1;
  const rename = storage.rename.bind(storage);
  storage.rename = async (name, newName) => {
    await rename(name, newName);
    if (left-- > 0) throw new Error('EIO');
  };
  await log.sealNow();
  while (log.admission(1, key(1)).kind !== 'open') await new Promise((resolve) => setTimeout(resolve, 5));
  await log.release(sealed[0]?.id ?? '');
  assert.equal(storage.files.size, 1);
});

test('a new producer above the limit is refused, and one that the log knows is never forgotten for it', async () => {
  const { log } = await open(new MemoryStorage(), { producers: 2 });
  append(log, 1, 1, 1);
  append(log, 2, 1, 1);
  await log.synced();
  assert.equal(log.admission(1, key(3)).kind, 'too_many_producers');
  assert.equal(log.admission(1, key(1)).kind, 'open');
  assert.equal(log.durableOf(key(1)), 1);
});

/** Random appends, seals, releases, failures, kills and power losses against a model. */
test('model: whatever happens, what was acknowledged is there once and nothing refused is', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    let state = seed * 7919;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let rig = await open(new MemoryStorage(), { segmentEvents: 20, segmentBytes: 4000 });
    const acknowledged = new Map<number, number>();
    const committed = new Set<string>();
    for (let turn = 0; turn < 40; turn++) {
      const sent = new Map<number, number>();
      for (let count = random(5); count > 0; count--) {
        const producer = 1 + random(3);
        const appended = rig.log.appendedOf(key(producer));
        if (rig.log.admission(100, key(1)).kind !== 'open') continue;
        const last = appended + 1 + random(6);
        append(rig.log, producer, appended + 1, last);
        sent.set(producer, last);
      }
      const fault = random(8);
      if (fault === 0) {
        const broken = (['write', 'sync', 'create', 'syncDirectory'] as const)[random(4)];
        let left = 1 + random(2);
        rig.storage.fail = (operation) => (operation === broken && left-- > 0 ? new Error('EIO') : undefined);
      }
      const generation = rig.log.generation;
      if ((await rig.log.synced()) === 'durable' && rig.log.generation === generation) {
        for (const [producer, last] of sent) acknowledged.set(producer, last);
      }
      if (random(4) === 0) await rig.log.sealNow();
      while (rig.log.admission(1, key(1)).kind === 'failing')
        await new Promise((resolve) => setTimeout(resolve, 2));
      if (random(3) === 0) {
        for (const segment of rig.sealed.splice(0, 1)) {
          const bytes = rig.storage.files.get(`${segment.id}.wal`)?.bytes as Buffer;
          for (const { start, end } of readSegment(bytes, segment.id).requests) {
            committed.add(bytes.toString('latin1', start, end).replace('request ', ''));
          }
          await rig.log.release(segment.id);
        }
      }
      if (fault === 1 || fault === 2) {
        await rig.log.synced();
        const storage = fault === 1 ? rig.storage.crash() : rig.storage.kill();
        rig = await open(storage, { segmentEvents: 20, segmentBytes: 4000 });
      }
    }
    const all = [...committed, ...contents(rig.storage)];
    for (const producer of [1, 2, 3]) {
      let next = 1;
      for (const [first, last] of all
        .filter((text) => text.startsWith(`${producer}:`))
        .map((text) => text.slice(2).split('-').map(Number) as [number, number])
        .sort((a, b) => a[0] - b[0])) {
        assert.equal(first, next, `seed ${seed}: producer ${producer} has a hole or a double at ${next}`);
        next = last + 1;
      }
      assert.ok(
        next - 1 >= (acknowledged.get(producer) ?? 0),
        `seed ${seed}: acknowledged events of ${producer} are gone`,
      );
    }
  }
});

test('a producer goes on behind what another log has, and a restart here knows only what lies here', async () => {
  const { log, storage, sealed } = await open(new MemoryStorage());
  append(log, 1, 1, 10);
  await log.synced();
  // It was elsewhere from 11 to 200, and comes back while the open segment holds 1 to 10.
  // The log's timers keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  await log.adopt(key(1), 200);
  clearInterval(alive);
  assert.equal(sealed.length, 1);
  assert.equal(log.appendedOf(key(1)), 200);
  assert.equal(log.durableOf(key(1)), 200);
  assert.equal((await open(storage.crash())).log.durableOf(key(1)), 10);
  append(log, 1, 201, 210);
  assert.equal(await log.synced(), 'durable');
  await log.sealNow();
  const last = [...storage.files.keys()].sort().at(-1)?.slice(0, -4) as string;
  assert.deepEqual(
    reading(storage, last).durable.entries.map(({ sequence, previousSequence, hasJumped }) => [
      previousSequence,
      sequence,
      hasJumped,
    ]),
    [[200, 210, true]],
  );
  assert.equal((await open(storage.crash())).log.durableOf(key(1)), 210);
});

test('a producer that is adopted before the log can be read goes on where it was adopted', async () => {
  const first = await open(new MemoryStorage());
  append(first.log, 1, 1, 10);
  await first.log.synced();
  const storage = first.storage.crash();
  let failures = 2;
  storage.fail = (operation) => (operation === 'read' && failures-- > 0 ? new Error('EIO') : undefined);
  const { log } = await open(storage);
  assert.equal(log.admission(1, key(1)).kind, 'failing');
  await log.adopt(key(1), 200);
  assert.equal(log.appendedOf(key(1)), 200);
});

test('what cannot be written of an adopted producer leaves it where it was adopted', async () => {
  const { log, storage } = await open(new MemoryStorage());
  await log.adopt(key(1), 200);
  let failures = 1;
  storage.fail = (operation) => (operation === 'sync' && failures-- > 0 ? new Error('EIO') : undefined);
  append(log, 1, 201, 210);
  assert.equal(await log.synced(), 'failed');
  // A new owner must not be told before the failed bytes are cut off for good.
  await log.settled();
  assert.equal(log.admission(1, key(1)).kind, 'open');
  assert.equal(log.appendedOf(key(1)), 200);
  append(log, 1, 201, 205);
  assert.equal(await log.synced(), 'durable');
  assert.equal((await open(storage.crash())).log.durableOf(key(1)), 205);
});

test('what another log knows is durable here once it is carried, and not where the open segments would lie', async () => {
  const { log, storage, sealed } = await open(new MemoryStorage());
  append(log, 1, 1, 10);
  await log.synced();
  let isCarried = false;
  const carried = log
    .carry([
      { key: key(1), sequence: 200, silentMs: 0 },
      { key: key(2), sequence: 7, silentMs: 0 },
    ])
    .then(() => {
      isCarried = true;
    });
  await log.sealNow();
  await log.sealNow();
  assert.equal((await open(storage.crash())).log.durableOf(key(2)), 7);
  // The segment before the open one holds 1 to 10, and only the open one tells so.
  assert.equal(isCarried, false);
  assert.equal((await open(storage.crash())).log.durableOf(key(1)), 10);
  for (const { id } of sealed) await log.release(id);
  await carried;
  assert.equal((await open(storage.crash())).log.durableOf(key(1)), 200);
});

test('a segment is sealed by what its requests take while they are encoded, not by their bytes alone', async () => {
  const { log, sealed } = await open(new MemoryStorage(), { segmentBytes: 100_000 });
  const large = (first: number): void =>
    log.append(
      { key: key(1), encoded: encoded(1) },
      {
        receivedUnixMs: 1.7e12,
        firstSequence: first,
        lastSequence: first,
        eventCount: 1,
        lossCount: 0,
        ledgerRows: 0,
        expansionBytes: 60_000,
        rejections: [],
      },
      Buffer.from('request'),
    );
  large(1);
  await log.synced();
  assert.equal(sealed.length, 0);
  large(2);
  await log.synced();
  assert.equal(sealed.length, 1, 'two of them are more than a segment may take');
  await log.stop();
});
