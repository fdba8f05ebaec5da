import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { uuid7 } from '../uuid7.js';
import { claimFolder, listFolders } from './claim.js';
import { systemFiles } from './files.js';
import { folderName } from './format.js';
import { judge, ownerText, parseOwner, thisProcess } from './owner.js';

const me = thisProcess();

test('an owner is read as it is written', () => {
  assert.deepEqual(parseOwner(ownerText(me)), me);
  for (const text of ['', 'h@b', 'h@g@1@2@3', 'h@ab@1@0@3', 'h@ab@1@2@3@4', '../x@ab@1@2@3'])
    assert.equal(parseOwner(text), undefined, text);
});

test('a process lives if its id and its start time are those of one', () => {
  assert.equal(judge(me, me), 'alive');
  // Somebody else's id, or the same id at another time.
  assert.equal(judge({ ...me, start: `${me.start}1` }, me), me.start === '0' ? 'alive' : 'dead');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  assert.equal(judge({ ...me, pid, start: '1' }, me), 'dead');
});

test('a process of an earlier boot is dead, one of another host or container cannot be judged', () => {
  assert.equal(judge({ ...me, boot: 'abc' }, me), 'dead');
  assert.equal(judge({ ...me, host: 'another' }, me), 'elsewhere');
  assert.equal(judge({ ...me, namespace: '1' }, me), 'elsewhere');
  assert.equal(judge(undefined, me), 'elsewhere');
});

test('of many that claim a folder at once, one gets it', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-claim-'));
  context.after(() => rm(directory, { recursive: true }));
  for (let round = 0; round < 20; round++) {
    const id = uuid7(Date.now());
    await mkdir(join(directory, folderName(id, ownerText({ ...me, boot: 'abc' }))));
    const [folder] = await listFolders(systemFiles, directory, me);
    assert.equal(folder?.state, 'dead');
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        claimFolder(systemFiles, directory, folder, { ...me, pid: 1000 + index }),
      ),
    );
    assert.equal(claims.filter((path) => path !== undefined).length, 1);
    assert.equal((await readdir(directory)).length, 1);
    await rm(join(directory, (await readdir(directory))[0]!), { recursive: true });
  }
});
