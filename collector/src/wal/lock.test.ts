import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { SluiceError } from '../errors.js';
import { lockDirectory } from './lock.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-lock-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function code(action: () => void): string {
  try {
    action();
    return 'none';
  } catch (error) {
    assert.ok(error instanceof SluiceError, String(error));
    return error.code;
  }
}

/** A process that holds the folder until it is killed. */
async function holder(): Promise<ChildProcess> {
  const url = new URL('./lock.js', import.meta.url).href;
  const script = `import(${JSON.stringify(url)}).then(({ lockDirectory }) => { lockDirectory(${JSON.stringify(folder)}); console.log('held'); setInterval(() => {}, 1000); })`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('a folder that another process holds is refused, naming that process', async () => {
  const child = await holder();
  try {
    assert.throws(() => lockDirectory(folder), new RegExp(`held by process ${child.pid}`));
    assert.equal(
      code(() => lockDirectory(folder)),
      'data_directory_locked',
    );
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

test('the lock of a killed process is taken over', async () => {
  const child = await holder();
  child.kill('SIGKILL');
  await once(child, 'exit');
  lockDirectory(folder).release();
});

test('a process id that another process has by now does not hold the folder', () => {
  writeFileSync(join(folder, 'collector.lock'), `${process.pid} 1\n`);
  lockDirectory(folder).release();
});

test('a lock file cut short by a crash does not hold the folder', () => {
  writeFileSync(join(folder, 'collector.lock'), '');
  const lock = lockDirectory(folder);
  assert.match(readFileSync(join(folder, 'collector.lock'), 'utf8'), new RegExp(`^${process.pid} `));
  lock.release();
});

test('a folder is free again after its release', () => {
  lockDirectory(folder).release();
  lockDirectory(folder).release();
});

test('a folder that cannot be made is refused with what to do', () => {
  writeFileSync(join(folder, 'file'), '');
  assert.equal(
    code(() => lockDirectory(join(folder, 'file', 'wal'))),
    'data_directory_unusable',
  );
});
