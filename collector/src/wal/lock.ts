/**
 * One collector at a time on a log's folder: a lock file with the holder's process id and start
 * time. Node has no flock; a process id alone could be another process's by now, so on Linux the
 * start time decides. A lock whose holder is gone is taken over.
 *
 * Containers that share a folder but not their process ids cannot see each other's: give each
 * collector a folder of its own.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../errors.js';

const lockName = 'collector.lock';

export interface DirectoryLock {
  release(): void;
}

/** Creates the folder if need be, and holds it until `release` or the process's end. */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, lockName);
  const mine = `${process.pid} ${startTime(process.pid)}\n`;
  try {
    mkdirSync(directory, { recursive: true });
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        writeFileSync(path, mine, { flag: 'wx', mode: 0o640 });
        return { release: () => releaseLock(path, mine) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = readHolder(path);
      if (holder !== undefined && isAlive(holder.text)) {
        throw new SluiceError(
          'data_directory_locked',
          `the data directory ${directory} is held by process ${holder.pid}; stop that one or choose another with --data DIR`,
        );
      }
      // Moved, not removed: of two that find the same dead holder, one moves it and one gets ENOENT.
      const dead = `${path}.${process.pid}`;
      try {
        renameSync(path, dead);
        rmSync(dead, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError(
      'data_directory_unusable',
      `the data directory ${directory} cannot be written: ${(error as Error).message}; choose another with --data DIR`,
      { cause: error },
    );
  }
  throw new SluiceError(
    'data_directory_locked',
    `the data directory ${directory} is being taken by another process; try again`,
  );
}

function releaseLock(path: string, mine: string): void {
  if (readHolder(path)?.text === mine) rmSync(path, { force: true });
}

function readHolder(path: string): { text: string; pid: number } | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return { text, pid: Number.parseInt(text, 10) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive(holder: string): boolean {
  const [pidText = '', started = ''] = holder.trim().split(' ');
  const pid = Number(pidText);
  // A lock file that was cut short by a crash has no holder.
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  if (pid === process.pid) return startTime(pid) === started;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return started === '' || startTime(pid) === started;
}

/** When a process started, in the kernel's ticks; empty where /proc does not tell. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command in parentheses, which may hold spaces; the state is field 3, the
    // start time field 22. A zombie is dead and holds nothing, whoever has yet to reap it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'dead' : (fields[19] ?? '');
  } catch {
    // No /proc: the process id alone has to do.
    return '';
  }
}
