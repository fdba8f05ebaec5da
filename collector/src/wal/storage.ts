/**
 * What the log needs of a file system, small enough that a faulty double can stand in for it. The
 * only code of Sluice that opens, writes and syncs the log's files.
 *
 * Every method rejects with the operating system's error; nothing is retried here.
 */

import { constants } from 'node:fs';
import {
  access,
  copyFile,
  type FileHandle,
  mkdir,
  open,
  readdir,
  rename,
  stat,
  unlink,
} from 'node:fs/promises';
import { join } from 'node:path';
import { innerLimits } from '../limits.js';

/** Where segments go that cannot be read in full. */
export const damagedFolder = 'damaged';

export interface LogStorage {
  /** Names of the files in the log's folder, in no order; no folders, whatever they are called. */
  list(): Promise<string[]>;
  sizeBytes(name: string): Promise<number>;
  /** Creates a file that must not exist yet. */
  create(name: string): Promise<SegmentFile>;
  /** Opens a file of an earlier process, to cut its torn tail and seal it. */
  reopen(name: string): Promise<SegmentFile>;
  /** The whole file, into `scratch` if it is large enough. */
  read(name: string, scratch?: Buffer): Promise<Buffer>;
  /** Gives a file another name in the log's folder; durable after `syncDirectory`. */
  rename(name: string, newName: string): Promise<void>;
  /** Makes the creation and removal of files durable. */
  syncDirectory(): Promise<void>;
  remove(name: string): Promise<void>;
  /** Copies a file into a sub-folder, durably, before it is changed. */
  copyAside(name: string, folder: string): Promise<void>;
  /** Moves a file into a sub-folder, out of the log's way, durably. A file that is not there is no error. */
  setAside(name: string, folder: string): Promise<void>;
}

export interface SegmentFile {
  /** Writes at `position`; resolves to the bytes written, which may be fewer than given. */
  write(buffers: readonly Buffer[], position: number): Promise<number>;
  /** fdatasync: when it resolves, what was written is on the disk. */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** Whether an error says that a file is not there. */
export function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

const { fileBytes } = innerLimits.wal;

export class DirectoryStorage implements LogStorage {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  async list(): Promise<string[]> {
    const entries = await readdir(this.directory, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  }

  async sizeBytes(name: string): Promise<number> {
    return (await stat(join(this.directory, name))).size;
  }

  async create(name: string): Promise<SegmentFile> {
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
    return new HandleFile(await open(join(this.directory, name), flags, 0o640));
  }

  async reopen(name: string): Promise<SegmentFile> {
    return new HandleFile(await open(join(this.directory, name), 'r+'));
  }

  async read(name: string, scratch?: Buffer): Promise<Buffer> {
    const handle = await open(join(this.directory, name), 'r');
    try {
      const size = Math.min((await handle.stat()).size, fileBytes);
      const buffer = scratch !== undefined && scratch.length >= size ? scratch : Buffer.allocUnsafeSlow(size);
      let filled = 0;
      while (filled < size) {
        const { bytesRead } = await handle.read(buffer, filled, size - filled, filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    } finally {
      await handle.close();
    }
  }

  rename(name: string, newName: string): Promise<void> {
    return rename(join(this.directory, name), join(this.directory, newName));
  }

  syncDirectory(): Promise<void> {
    return syncFolder(this.directory);
  }

  remove(name: string): Promise<void> {
    return unlink(join(this.directory, name));
  }

  async copyAside(name: string, folder: string): Promise<void> {
    const target = join(this.directory, folder);
    await mkdir(target, { recursive: true });
    const partial = join(target, `${name}.new`);
    try {
      await copyFile(join(this.directory, name), partial);
      const handle = await open(partial, 'r+');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(partial, join(target, name));
    } catch (error) {
      await unlink(partial).catch(() => undefined);
      throw error;
    }
    await syncFolder(target);
    await syncFolder(this.directory);
  }

  async setAside(name: string, folder: string): Promise<void> {
    const target = join(this.directory, folder);
    await mkdir(target, { recursive: true });
    try {
      await rename(join(this.directory, name), await freePath(join(target, name)));
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
    await syncFolder(target);
    await syncFolder(this.directory);
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The path, or the path with a number: what was kept before is not overwritten. */
async function freePath(path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? path : `${path}.${number}`;
    try {
      await access(candidate);
    } catch (error) {
      if (!isAbsent(error)) throw error;
      return candidate;
    }
  }
}

class HandleFile implements SegmentFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(buffers: readonly Buffer[], position: number): Promise<number> {
    return (await this.#handle.writev(buffers, position)).bytesWritten;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
