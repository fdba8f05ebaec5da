/**
 * A log's folder in memory. It knows what is synced and what is not, so a test can crash it: `crash()`
 * keeps only what a power loss must keep. `fail` may refuse an operation, as a disk does.
 */
import type { LogStorage, SegmentFile } from '../wal/storage.js';

interface MemoryFile {
  bytes: Buffer;
  synced: Buffer;
  nameSynced: boolean;
}

export type StorageOperation =
  | 'create'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'read';

export class MemoryStorage implements LogStorage {
  readonly files = new Map<string, MemoryFile>();
  readonly aside = new Map<string, Buffer>();
  /** Returns an error to refuse an operation; a number lets a write take only so many bytes. */
  fail: (operation: StorageOperation, name: string) => Error | number | undefined = () => undefined;
  /** While set, syncs wait for it, as on a slow disk. */
  gate: Promise<void> | undefined;
  readonly operations: string[] = [];

  /** The folder after a power loss: unsynced content and unsynced names are gone. */
  crash(): MemoryStorage {
    const after = new MemoryStorage();
    for (const [name, file] of this.files) {
      if (file.nameSynced) {
        after.files.set(name, {
          bytes: Buffer.from(file.synced),
          synced: Buffer.from(file.synced),
          nameSynced: true,
        });
      }
    }
    return after;
  }

  /** The folder after the process was killed: the page cache survives. */
  kill(): MemoryStorage {
    const after = new MemoryStorage();
    for (const [name, file] of this.files) {
      after.files.set(name, {
        bytes: Buffer.from(file.bytes),
        synced: Buffer.from(file.synced),
        nameSynced: file.nameSynced,
      });
    }
    return after;
  }

  #check(operation: StorageOperation, name: string): number | undefined {
    this.operations.push(`${operation} ${name}`);
    const verdict = this.fail(operation, name);
    if (verdict instanceof Error) throw verdict;
    return verdict;
  }

  #file(name: string): MemoryFile {
    const file = this.files.get(name);
    if (file === undefined) throw Object.assign(new Error(`ENOENT: ${name}`), { code: 'ENOENT' });
    return file;
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()];
  }

  async sizeBytes(name: string): Promise<number> {
    return this.#file(name).bytes.length;
  }

  async create(name: string): Promise<SegmentFile> {
    this.#check('create', name);
    if (this.files.has(name)) throw Object.assign(new Error(`EEXIST: ${name}`), { code: 'EEXIST' });
    const file: MemoryFile = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0), nameSynced: false };
    this.files.set(name, file);
    return this.#handle(name, file);
  }

  async reopen(name: string): Promise<SegmentFile> {
    return this.#handle(name, this.#file(name));
  }

  #handle(name: string, file: MemoryFile): SegmentFile {
    return {
      write: async (buffers, position) => {
        const most = this.#check('write', name);
        const all = Buffer.concat(buffers);
        const part = most === undefined ? all : all.subarray(0, most);
        file.bytes = Buffer.concat([file.bytes.subarray(0, position), part]);
        return part.length;
      },
      sync: async () => {
        await this.gate;
        this.#check('sync', name);
        file.synced = Buffer.from(file.bytes);
      },
      truncate: async (bytes) => {
        this.#check('truncate', name);
        file.bytes = file.bytes.subarray(0, bytes);
      },
      close: async () => undefined,
    };
  }

  async read(name: string): Promise<Buffer> {
    this.#check('read', name);
    return Buffer.from(this.#file(name).bytes);
  }

  async rename(name: string, newName: string): Promise<void> {
    this.#check('rename', name);
    const file = this.#file(name);
    this.files.delete(name);
    file.nameSynced = false;
    this.files.set(newName, file);
  }

  async syncDirectory(): Promise<void> {
    this.#check('syncDirectory', '');
    for (const file of this.files.values()) file.nameSynced = true;
  }

  async remove(name: string): Promise<void> {
    this.#check('remove', name);
    this.files.delete(name);
  }

  async copyAside(name: string): Promise<void> {
    this.aside.set(name, Buffer.from(this.#file(name).bytes));
  }

  async setAside(name: string): Promise<void> {
    this.aside.set(name, this.#file(name).bytes);
    this.files.delete(name);
  }
}
