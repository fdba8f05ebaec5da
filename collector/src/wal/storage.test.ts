import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectoryStorage } from './storage.js';

function inFolder(work: (folder: string, storage: DirectoryStorage) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-storage-'));
    try {
      await work(folder, new DirectoryStorage(folder));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

test(
  'what was kept aside before is not overwritten by what is moved there',
  inFolder(async (folder, storage) => {
    for (const text of ['first', 'second', 'third']) {
      writeFileSync(join(folder, 'a.wal'), text);
      await storage.setAside('a.wal', 'damaged');
    }
    const kept = readdirSync(join(folder, 'damaged')).sort();
    assert.deepEqual(kept, ['a.wal', 'a.wal.2', 'a.wal.3']);
    assert.deepEqual(
      kept.map((name) => readFileSync(join(folder, 'damaged', name), 'utf8')),
      ['first', 'second', 'third'],
    );
  }),
);

test(
  'a copy that is kept aside leaves the file where it is, and nothing half done beside it',
  inFolder(async (folder, storage) => {
    writeFileSync(join(folder, 'a.wal'), 'whole');
    await storage.copyAside('a.wal', 'damaged');
    assert.deepEqual(readdirSync(join(folder, 'damaged')), ['a.wal']);
    assert.equal(readFileSync(join(folder, 'a.wal'), 'utf8'), 'whole');
    await assert.rejects(storage.copyAside('absent.wal', 'damaged'), { code: 'ENOENT' });
    assert.deepEqual(readdirSync(join(folder, 'damaged')), ['a.wal']);
  }),
);

test(
  'moving a file aside that is not there any more is no error, and folders are no files',
  inFolder(async (folder, storage) => {
    await storage.setAside('a.wal', 'damaged');
    mkdirSync(join(folder, 'b.wal'));
    writeFileSync(join(folder, 'c.wal'), '');
    assert.deepEqual(await storage.list(), ['c.wal']);
  }),
);
