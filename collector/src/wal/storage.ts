/**
 * What the log needs of a file system, small enough that a faulty double can stand in for it. The
 * only code of Sluice that opens, writes and syncs the log's files.
 *
 * Every method rejects with the operating system's error; nothing is retried here.
 */
import { constants } from 'node:fs';
import { copyFile, type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface LogStorage {
  /** Names of the files in the log's folder, in no order. */
  list(): Promise<string[]>;
  sizeBytes(name: string): Promise<number>;
  /** Creates a file that must not exist yet. */
  create(name: string): Promise<SegmentFile>;
  /** Opens a file of an earlier process, to cut its torn tail and seal it. */
  reopen(name: string): Promise<SegmentFile>;
  /** The whole file, into `scratch` if it is large enough. */
  read(name: string, scratch?: Buffer): Promise<Buffer>;
  /** Makes a file's content durable that an earlier process may have left in the page cache. */
  syncFile(name: string): Promise<void>;
  /** Makes the creation and removal of files durable. */
  syncDirectory(): Promise<void>;
  remove(name: string): Promise<void>;
  /** Copies a file into a sub-folder, durably, before it is changed. */
  copyAside(name: string, folder: string): Promise<void>;
  /** Moves a file into a sub-folder, out of the log's way. */
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

export class DirectoryStorage implements LogStorage {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  list(): Promise<string[]> {
    return readdir(this.directory);
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
      const { size } = await handle.stat();
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

  async syncFile(name: string): Promise<void> {
    const handle = await open(join(this.directory, name), 'r+');
    try {
      await handle.datasync();
    } finally {
      await handle.close();
    }
  }

  async syncDirectory(): Promise<void> {
    const handle = await open(this.directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  remove(name: string): Promise<void> {
    return unlink(join(this.directory, name));
  }

  async copyAside(name: string, folder: string): Promise<void> {
    await mkdir(join(this.directory, folder), { recursive: true });
    const copy = join(this.directory, folder, name);
    await copyFile(join(this.directory, name), copy);
    const handle = await open(copy, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async setAside(name: string, folder: string): Promise<void> {
    await mkdir(join(this.directory, folder), { recursive: true });
    await rename(join(this.directory, name), join(this.directory, folder, name));
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
