import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { innerLimits } from '../limits.js';
import { Handover, isLoopback, type Offer } from './handover.js';

const { leastBytes, keptFiles, askAgainMs, mostAskAgainMs } = innerLimits.handover;

/** Only where this user may mount a file system of one megabyte. */
const noSmallDisk = ((): string | false => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'sluice-test', directory], { stdio: 'ignore' });
    execFileSync('umount', [directory]);
    return false;
  } catch {
    return 'no file system can be mounted';
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
})();

interface Store {
  /** What it offers; undefined: no embedded store. */
  offer: Offer | undefined;
  asked: number;
  nowMs: number;
  readonly directory: string;
  readonly handover: Handover;
}

/** A store that offers a folder, as an embedded one does, and a collector that may hand files over to it. */
function start(context: TestContext): Store {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-handover-'));
  const store: Store = {
    directory,
    offer: offerOf(directory),
    asked: 0,
    nowMs: 0,
    handover: new Handover(
      async () => {
        store.asked++;
        return store.offer;
      },
      () => store.nowMs,
    ),
  };
  context.after(() => {
    store.handover.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return store;
}

function offerOf(directory: string, proof = 'proof'): Offer {
  writeFileSync(join(directory, 'handover-proof'), 'proof');
  return { directory, proofFile: 'handover-proof', proof };
}

function bodyOf(size = leastBytes, fill = 1): Buffer[] {
  // More chunks than one call to the system takes.
  const chunk = Buffer.alloc(100, fill);
  const rest = Buffer.alloc(size % 100, fill);
  return [...Array.from({ length: Math.floor(size / 100) }, () => chunk), rest];
}

function take(store: Store, size = leastBytes, fill = 1) {
  return store.handover.take(bodyOf(size, fill), size);
}

function filesOf(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.handed'));
}

function pathOf(store: Store, { parameter }: { parameter: string }): string {
  return join(store.directory, `${parameter.split('.')[0]}.handed`);
}

test('a body is in the file that the parameter names, for this user alone, with just its bytes', async (context) => {
  const store = start(context);
  const handed = await take(store, 300_001, 7);
  assert.ok(handed !== undefined);
  assert.match(handed.parameter, /^[0-9a-f-]{36}\.300001$/);
  const path = pathOf(store, handed);
  assert.ok(readFileSync(path).equals(Buffer.alloc(300_001, 7)));
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a file is written again only once its statement is done, also with less than it held', async (context) => {
  const store = start(context);
  const first = await take(store, 400_000, 1);
  const second = await take(store, 300_000, 2);
  assert.ok(first !== undefined && second !== undefined);
  assert.notEqual(pathOf(store, first), pathOf(store, second));
  store.handover.done(first);
  const third = await take(store, 280_000, 3);
  assert.ok(third !== undefined);
  assert.equal(pathOf(store, third), pathOf(store, first));
  assert.ok(readFileSync(pathOf(store, third)).equals(Buffer.alloc(280_000, 3)));
  assert.ok(readFileSync(pathOf(store, second)).equals(Buffer.alloc(300_000, 2)));
});

test('a file that was lost is removed and not written again, whoever still reads it', async (context) => {
  const store = start(context);
  const kept = await take(store);
  const lost = await take(store);
  assert.ok(kept !== undefined && lost !== undefined);
  store.handover.lost(lost);
  assert.deepEqual(filesOf(store.directory), [pathOf(store, kept).split('/').at(-1)]);
  assert.equal(await take(store), undefined);
  store.nowMs += askAgainMs;
  const next = await take(store);
  assert.ok(next !== undefined && pathOf(store, next) !== pathOf(store, lost));
  // What was on its way when the folder was forgotten is not written again in another one.
  store.offer = undefined;
  store.handover.lost(next);
  store.handover.done(kept);
  assert.deepEqual(filesOf(store.directory), []);
});

test('only so many files are kept', async (context) => {
  const store = start(context);
  const taken: Awaited<ReturnType<typeof take>>[] = [];
  while (taken.length < keptFiles + 3) taken.push(await take(store));
  for (const handed of taken) store.handover.done(handed as NonNullable<typeof handed>);
  assert.equal(filesOf(store.directory).length, keptFiles);
  store.handover.close();
  assert.deepEqual(filesOf(store.directory), []);
});

test('a small body is not handed over, and nobody is asked for it', async (context) => {
  const store = start(context);
  assert.equal(await take(store, leastBytes - 1), undefined);
  assert.equal(store.asked, 0);
  assert.deepEqual(filesOf(store.directory), []);
});

for (const [name, spoil] of Object.entries({
  'that is not there': (offer: Offer) => ({ ...offer, directory: join(offer.directory, 'elsewhere') }),
  'whose proof does not match': (offer: Offer) => ({ ...offer, proof: 'other' }),
  'whose proof lies elsewhere': (offer: Offer) => ({
    ...offer,
    proofFile: `../${offer.directory.split('/').at(-1)}/handover-proof`,
  }),
  'without a root': (offer: Offer) => ({ ...offer, directory: 'relative' }),
})) {
  test(`a folder ${name} is not written to, and not asked for again at once`, async (context) => {
    const store = start(context);
    store.offer = spoil(store.offer as Offer);
    assert.equal(await take(store), undefined);
    assert.equal(await take(store), undefined);
    assert.equal(store.asked, 1);
    assert.deepEqual(filesOf(store.directory), []);
    store.offer = offerOf(store.directory);
    store.nowMs += askAgainMs;
    assert.ok((await take(store)) !== undefined);
  });
}

test('a folder that goes away, or becomes a file, makes all be sent and throws nothing', async (context) => {
  const store = start(context);
  const held = await take(store);
  const other = await take(store);
  assert.ok(held !== undefined && other !== undefined);
  rmSync(store.directory, { recursive: true });
  writeFileSync(store.directory, 'no folder');
  assert.equal(await take(store), undefined);
  store.handover.done(held);
  store.handover.lost(other);
  rmSync(store.directory);
  mkdirSync(store.directory);
  store.offer = offerOf(store.directory);
  store.nowMs += mostAskAgainMs;
  assert.ok((await take(store)) !== undefined);
});

test('an empty proof proves nothing', async (context) => {
  const store = start(context);
  store.offer = { directory: '/dev', proofFile: 'null', proof: '' };
  assert.equal(await take(store), undefined);
});

test('on a full disk the body is sent, and no file is left', { skip: noSmallDisk }, async (context) => {
  const store = start(context);
  const directory = mkdtempSync(join(tmpdir(), 'sluice-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'sluice-test', directory]);
  context.after(() => {
    store.handover.close();
    execFileSync('umount', [directory]);
    rmSync(directory, { recursive: true });
  });
  store.offer = offerOf(directory);
  const fits = await take(store, 500_000);
  assert.ok(fits !== undefined);
  assert.equal(await take(store, 900_000), undefined);
  assert.equal(filesOf(directory).length, 1);
  store.handover.done(fits);
  assert.deepEqual(filesOf(directory), []);
});

test('failures in a row make the pause longer, and a success ends that', async (context) => {
  const store = start(context);
  const fails = async (pauseMs: number): Promise<void> => {
    const handed = await take(store);
    assert.ok(handed !== undefined);
    store.handover.lost(handed);
    store.nowMs += pauseMs - 1;
    assert.equal(await take(store), undefined);
    store.nowMs += 1;
  };
  await fails(askAgainMs);
  await fails(askAgainMs * 2);
  await fails(askAgainMs * 4);
  const handed = await take(store);
  assert.ok(handed !== undefined);
  store.handover.done(handed);
  await fails(askAgainMs);
});

test('two lanes that look for the folder at the same time ask once, and the other sends', async (context) => {
  const store = start(context);
  const [one, other] = await Promise.all([take(store), take(store)]);
  assert.equal(store.asked, 1);
  assert.equal([one, other].filter((handed) => handed === undefined).length, 1);
});

test('only this machine is asked', () => {
  for (const url of ['http://127.0.0.1:8123', 'http://127.1.2.3', 'http://localhost:1', 'http://[::1]:8123'])
    assert.ok(isLoopback(new URL(url)), url);
  for (const url of [
    'http://127.0.0.1.example.com',
    'http://10.0.0.1',
    'http://store',
    'http://localhost.example.com',
    'http://[::2]',
    'http://127.example.com',
  ])
    assert.ok(!isLoopback(new URL(url)), url);
});
