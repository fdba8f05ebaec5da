/** The file system as a spool uses it: one small interface, so that tests can let it fail. */
import {
  close,
  closeSync,
  fdatasync,
  fsync,
  ftruncate,
  ftruncateSync,
  mkdir,
  mkdirSync,
  open,
  openSync,
  readdir,
  readFile,
  rename,
  renameSync,
  rmdir,
  rmdirSync,
  stat,
  unlink,
  writev,
  writevSync,
} from 'node:fs';
import { promisify } from 'node:util';

export interface SpoolFiles {
  makeFolder(path: string): Promise<void>;
  /** Names in a folder. */
  list(path: string): Promise<string[]>;
  /** A file that must not exist yet; resolves to its descriptor. */
  create(path: string): Promise<number>;
  openForWriting(path: string): Promise<number>;
  /** Writes all of the buffers at a position. */
  write(file: number, buffers: readonly Uint8Array[], position: number): Promise<void>;
  truncate(file: number, bytes: number): Promise<void>;
  sync(file: number): Promise<void>;
  close(file: number): Promise<void>;
  size(path: string): Promise<number>;
  read(path: string): Promise<Buffer>;
  remove(path: string): Promise<void>;
  removeFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes what was created, renamed or removed in a folder last. */
  syncFolder(path: string): Promise<void>;
  /** The few that a process needs while it exits, when nothing asynchronous runs any more. */
  makeFolderSync(path: string): void;
  createSync(path: string): number;
  writeSync(file: number, buffers: readonly Uint8Array[], position: number): void;
  truncateSync(file: number, bytes: number): void;
  closeSync(file: number): void;
  renameSync(from: string, to: string): void;
  removeFolderSync(path: string): void;
}

const p = {
  close: promisify(close),
  fdatasync: promisify(fdatasync),
  fsync: promisify(fsync),
  ftruncate: promisify(ftruncate),
  mkdir: promisify(mkdir),
  open: promisify(open),
  readdir: promisify(readdir),
  readFile: promisify(readFile),
  rename: promisify(rename),
  rmdir: promisify(rmdir),
  stat: promisify(stat),
  unlink: promisify(unlink),
};

/** Folders for their owner alone: events may hold what others should not read. */
const folderMode = { recursive: true, mode: 0o700 } as const;
const fileMode = 0o600;

export const systemFiles: SpoolFiles = {
  makeFolder: async (path) => {
    await p.mkdir(path, folderMode);
  },
  list: (path) => p.readdir(path),
  create: (path) => p.open(path, 'wx', fileMode),
  openForWriting: (path) => p.open(path, 'r+'),
  write: async (file, buffers, position) => {
    let rest = buffers;
    for (let at = position; rest.length > 0; ) {
      const written = await new Promise<number>((resolve, reject) =>
        writev(file, rest, at, (error, bytes) => (error ? reject(error) : resolve(bytes))),
      );
      at += written;
      rest = behind(rest, written);
    }
  },
  truncate: (file, bytes) => p.ftruncate(file, bytes),
  sync: (file) => p.fdatasync(file),
  close: (file) => p.close(file),
  size: async (path) => (await p.stat(path)).size,
  read: (path) => p.readFile(path),
  remove: (path) => p.unlink(path),
  removeFolder: (path) => p.rmdir(path),
  rename: (from, to) => p.rename(from, to),
  syncFolder: async (path) => {
    const folder = await p.open(path, 'r');
    try {
      await p.fsync(folder);
    } finally {
      await p.close(folder);
    }
  },
  makeFolderSync: (path) => {
    mkdirSync(path, folderMode);
  },
  createSync: (path) => openSync(path, 'wx', fileMode),
  writeSync: (file, buffers, position) => {
    let rest = buffers;
    for (let at = position; rest.length > 0; ) {
      const written = writevSync(file, rest, at);
      at += written;
      rest = behind(rest, written);
    }
  },
  truncateSync: (file, bytes) => ftruncateSync(file, bytes),
  closeSync: (file) => closeSync(file),
  renameSync: (from, to) => renameSync(from, to),
  removeFolderSync: (path) => rmdirSync(path),
};

/** What is left of the buffers after a write that may have been short. */
function behind(buffers: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let index = 0;
  let left = written;
  while (index < buffers.length && left >= buffers[index]!.length) left -= buffers[index++]!.length;
  if (left === 0) return buffers.slice(index);
  return [buffers[index]!.subarray(left), ...buffers.slice(index + 1)];
}
