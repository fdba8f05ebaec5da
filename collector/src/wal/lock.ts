/**
 * One collector at a time on a log's folder: a lock file with the holder's process id and start
 * time. Node has no flock; a process id alone could be another process's by now, so on Linux the
 * start time decides. A lock whose holder is gone is taken over.
 *
 * 1. The lock appears with its content: it is written elsewhere and linked into place. An empty one is
 *    what a crash of an older version left, and has no holder.
 * 2. A lock is never removed where it stands: it is moved aside, and put back if it is not the one that
 *    was judged. While it is aside, another process can take its place, and finds it there afterwards.
 *
 * Containers that share a folder but not their process ids cannot see each other's: give each
 * collector a folder of its own.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../errors.js';

const lockName = 'collector.lock';
const newPrefix = `${lockName}.new.`;
const asidePrefix = `${lockName}.old.`;

/** Who took the place of a lock that is to be put back needs a moment to find that out. */
const putBackAttempts = 100;
const putBackPauseMs = 5;

export interface DirectoryLock {
  release(): void;
}

interface Holder {
  readonly text: string;
  readonly pid: number;
}

/** Creates the folder if need be, and holds it until `release` or the process's end. */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, lockName);
  const mine = `${process.pid} ${startTime(process.pid)}\n`;
  try {
    mkdirSync(directory, { recursive: true });
    for (let attempt = 0; attempt < 3; attempt++) {
      if (tryToPlace(directory, mine, attempt === 0)) {
        const other = liveHolderAside(directory, mine);
        if (other === undefined) return { release: () => release(directory, mine) };
        release(directory, mine);
        throw heldBy(directory, other);
      }
      const holder = readHolder(path);
      if (holder === undefined) continue;
      if (isAlive(holder.text)) throw heldBy(directory, holder);
      const other = remove(directory, holder.text);
      if (other !== undefined && isAlive(other.text)) throw heldBy(directory, other);
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

function heldBy(directory: string, holder: Holder): SluiceError {
  return new SluiceError(
    'data_directory_locked',
    `the data directory ${directory} is held by process ${holder.pid}; stop that one or choose another with --data DIR`,
  );
}

/** On a full disk the lock of a dead holder is in the way: its removal makes the room for another. */
function tryToPlace(directory: string, mine: string, isFirst: boolean): boolean {
  try {
    return place(directory, mine);
  } catch (error) {
    if (isFirst && (error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}

/** Puts the lock into its place, whole; false if there is one. */
function place(directory: string, mine: string): boolean {
  const written = join(directory, newPrefix + randomUUID());
  try {
    writeFileSync(written, mine, { flag: 'wx', mode: 0o640 });
    return link(written, join(directory, lockName));
  } finally {
    rmSync(written, { force: true });
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock if it still reads `expected`; else it stays, and its holder is returned. */
function remove(directory: string, expected: string): Holder | undefined {
  const path = join(directory, lockName);
  const aside = join(directory, asidePrefix + randomUUID());
  try {
    renameSync(path, aside);
  } catch (error) {
    // Of two that find the same dead holder, one moves it and one gets here.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const found = readHolder(aside);
  const isExpected = found === undefined || found.text === expected;
  // Left aside, it still keeps others out for as long as its holder lives.
  if (isExpected || putBack(aside, path)) rmSync(aside, { force: true });
  return isExpected ? undefined : found;
}

function putBack(aside: string, path: string): boolean {
  for (let attempt = 0; attempt < putBackAttempts; attempt++) {
    try {
      if (link(aside, path)) return true;
    } catch (error) {
      // Its holder released it.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
      throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, putBackPauseMs);
  }
  return false;
}

/** A holder whose lock was moved aside by mistake. What a crash left aside is removed. */
function liveHolderAside(directory: string, mine: string): Holder | undefined {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(asidePrefix)) continue;
    const holder = readHolder(join(directory, name));
    if (holder === undefined || holder.text === mine) continue;
    if (isAlive(holder.text)) return holder;
    rmSync(join(directory, name), { force: true });
  }
  return undefined;
}

function release(directory: string, mine: string): void {
  if (readHolder(join(directory, lockName))?.text === mine) remove(directory, mine);
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (name.startsWith(asidePrefix) && readHolder(path)?.text === mine) rmSync(path, { force: true });
  }
}

function readHolder(path: string): Holder | undefined {
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
