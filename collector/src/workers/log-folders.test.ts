import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { logFolder, logsToDrain, otherLogFolders } from './log-folders.js';

test('logs beyond the workers are drained, in their order, if they hold anything', () => {
  const data = mkdtempSync(join(tmpdir(), 'sluice-folders-'));
  try {
    for (const name of ['wal', 'wal-1', 'wal-2', 'wal-10', 'wal-3', 'wal-x', 'store'])
      mkdirSync(join(data, name));
    for (const name of ['wal-1', 'wal-2', 'wal-10']) {
      writeFileSync(join(data, name, '01930000-0000-7000-8000-000000000001.wal'), '');
    }
    mkdirSync(join(data, 'wal-3', 'damaged'));
    assert.equal(basename(logFolder(data, 0)), 'wal');
    assert.equal(basename(logFolder(data, 2)), 'wal-2');
    const names = (folders: string[]): string[] => folders.map((folder) => basename(folder));
    assert.deepEqual(names(otherLogFolders(data)), ['wal-1', 'wal-2', 'wal-3', 'wal-10']);
    assert.deepEqual(names(logsToDrain(data, 1)), ['wal-1', 'wal-2', 'wal-10']);
    assert.deepEqual(names(logsToDrain(data, 2)), ['wal-2', 'wal-10']);
    assert.deepEqual(logsToDrain(join(data, 'none'), 1), []);
  } finally {
    rmSync(data, { recursive: true });
  }
});
