import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
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

test('on a full disk the lock of a dead holder makes room for the next one', () => {
  const path = join(folder, 'collector.lock');
  writeFileSync(path, '999999999 1\n');
  const { writeFileSync: write } = fs;
  fs.writeFileSync = (...parameters) => {
    if (fs.existsSync(path)) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    write(...parameters);
  };
  syncBuiltinESMExports();
  try {
    lockDirectory(folder).release();
  } finally {
    fs.writeFileSync = write;
    syncBuiltinESMExports();
  }
});

test('a folder that cannot be made is refused with what to do', () => {
  writeFileSync(join(folder, 'file'), '');
  assert.equal(
    code(() => lockDirectory(join(folder, 'file', 'wal'))),
    'data_directory_unusable',
  );
});

/** A process that tries for each folder it is told of at the time it is told, and says what came of it. */
function racer(): ChildProcess {
  const url = new URL('./lock.js', import.meta.url).href;
  const script = `const { lockDirectory } = await import(${JSON.stringify(url)});
    process.on('message', ({ folder, atMs }) => {
      while (Date.now() < atMs);
      let said = 'held';
      try { lockDirectory(folder); } catch (error) { said = error.code; }
      process.send(said);
    });
    process.send('ready');`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

const said = async (child: ChildProcess): Promise<string> => String((await once(child, 'message'))[0]);

test('of several processes that find a dead holder, exactly one takes its lock', async () => {
  const dead = spawn(process.execPath, ['-e', '']);
  await once(dead, 'exit');
  const racers = Array.from({ length: 5 }, racer);
  try {
    await Promise.all(racers.map(said));
    for (let round = 0; round < 200; round++) {
      const contested = join(folder, String(round));
      mkdirSync(contested);
      // Every third one as an older version's crash left it.
      writeFileSync(join(contested, 'collector.lock'), round % 3 === 0 ? '' : `${dead.pid} 1\n`);
      const outcomes = racers.map(said);
      const atMs = Date.now() + 5;
      for (const each of racers) each.send({ folder: contested, atMs });
      const outcome = await Promise.all(outcomes);
      assert.deepEqual(
        outcome.toSorted(),
        [...Array(4).fill('data_directory_locked'), 'held'],
        `round ${round}`,
      );
      const winner = racers[outcome.indexOf('held')]!;
      assert.deepEqual(readdirSync(contested), ['collector.lock'], 'nothing else is left');
      assert.match(readFileSync(join(contested, 'collector.lock'), 'utf8'), new RegExp(`^${winner.pid} `));
    }
  } finally {
    for (const each of racers) each.kill('SIGKILL');
  }
});

test('a lock that was taken over between its reading and its removal is put back', async () => {
  const child = await holder();
  const path = join(folder, 'collector.lock');
  const live = readFileSync(path, 'utf8');
  writeFileSync(path, '999999999 1\n');
  const { renameSync } = fs;
  let renames = 0;
  fs.renameSync = (from, to) => {
    // In the last moment the other one is through.
    if (renames++ === 0) writeFileSync(path, live);
    renameSync(from, to);
  };
  syncBuiltinESMExports();
  try {
    assert.throws(() => lockDirectory(folder), new RegExp(`held by process ${child.pid}`));
    assert.equal(renames, 1);
    assert.deepEqual(readdirSync(folder), ['collector.lock']);
    assert.equal(readFileSync(path, 'utf8'), live);
  } finally {
    fs.renameSync = renameSync;
    syncBuiltinESMExports();
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

test('a lock that is aside keeps others out while its holder lives, and no longer', async () => {
  const child = await holder();
  const aside = join(folder, 'collector.lock.old.x');
  fs.renameSync(join(folder, 'collector.lock'), aside);
  try {
    assert.throws(() => lockDirectory(folder), new RegExp(`held by process ${child.pid}`));
    assert.deepEqual(readdirSync(folder), ['collector.lock.old.x']);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const lock = lockDirectory(folder);
  assert.deepEqual(readdirSync(folder), ['collector.lock']);
  lock.release();
  assert.deepEqual(readdirSync(folder), []);
});
