import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStorage } from '../testing/memory-storage.js';
import { SealedSegments } from './sealed-segments.js';

const ids = [1, 2, 3, 4].map((number) => `01930000-0000-7000-8000-00000000000${number}`);
const [first, second, third] = ids as [string, string, string];

interface Rig {
  readonly sealed: SealedSegments;
  readonly storage: MemoryStorage;
  readonly due: (() => void)[];
}

function rig(): Rig {
  const storage = new MemoryStorage();
  const due: (() => void)[] = [];
  const sealed = new SealedSegments({
    storage,
    log: { warn: () => undefined, info: () => undefined },
    timers: {
      after: (_, callback) => {
        due.push(callback);
        return () => undefined;
      },
      sleep: () => Promise.resolve(),
    },
  });
  for (const id of ids) {
    storage.files.set(`${id}.wal`, { bytes: Buffer.alloc(10), synced: Buffer.alloc(10), nameSynced: true });
    sealed.add(id, 10);
  }
  return { sealed, storage, due };
}

const left = ({ storage }: Rig): string[] => [...storage.files.keys()].map((name) => name.slice(0, -4));

test('an unsettled segment holds back the one behind it, and no other', async () => {
  const parts = rig();
  await parts.sealed.opened();
  await parts.sealed.settle(second, 'remove');
  await parts.sealed.settle(third, 'remove');
  assert.deepEqual(left(parts), [first, second, ids[3]]);
  await parts.sealed.settle(first, 'remove');
  assert.deepEqual(left(parts), [ids[3]]);
  assert.equal(parts.sealed.bytes, 10);
});

test('what is moved aside must have gone before the one behind it goes', async () => {
  const parts = rig();
  await parts.sealed.opened();
  parts.storage.fail = (operation) => (operation === 'remove' ? new Error('EIO') : undefined);
  await parts.sealed.settle(first, 'set_aside');
  assert.deepEqual([...parts.storage.aside.keys()], [`${first}.wal`]);
  await parts.sealed.settle(second, 'remove');
  parts.storage.fail = () => undefined;
  assert.deepEqual(left(parts), ids.slice(1));
});

test('a removal that fails counts as used and is tried again, without another event', async () => {
  const parts = rig();
  await parts.sealed.opened();
  parts.storage.fail = (operation) => (operation === 'remove' ? new Error('EIO') : undefined);
  await parts.sealed.settle(first, 'remove');
  assert.equal(parts.sealed.bytes, 40);
  parts.storage.fail = () => undefined;
  for (const callback of parts.due.splice(0)) callback();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(parts.sealed.bytes, 30);
  assert.deepEqual(left(parts), ids.slice(1));
});

test('settling a segment twice, or one that is not known, changes nothing', async () => {
  const parts = rig();
  await parts.sealed.opened();
  await parts.sealed.settle(first, 'remove');
  await parts.sealed.settle(first, 'remove');
  await parts.sealed.settle('01930000-0000-7000-8000-000000000009', 'remove');
  assert.equal(parts.sealed.bytes, 30);
});

test('without an open segment the youngest stays, and goes when one is open', async () => {
  const parts = rig();
  const youngest = ids[3] as string;
  parts.sealed.holdFrom(youngest);
  for (const id of ids) await parts.sealed.settle(id, 'remove');
  assert.deepEqual(left(parts), [youngest]);
  await parts.sealed.opened();
  assert.deepEqual(left(parts), []);
});
