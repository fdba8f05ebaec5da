/**
 * A log's folder on a disk that fails and loses power, in memory. It keeps what the process sees apart
 * from what the disk has, and gives any of the folders that a power loss may leave.
 *
 * 1. The content of files: see PageCacheFile.
 * 2. The creation, renaming and removal of names is undone or done after a power loss, each by itself,
 *    unless a `syncDirectory` has succeeded since. A rename is atomic.
 * 3. A dead folder answers nothing any more, as the process that used it is gone.
 */
import { damagedFolder, type LogStorage, type SegmentFile } from '../wal/storage.js';
import { PageCacheFile } from './page-cache-file.js';

export const diskOperations = [
  'list',
  'size',
  'read',
  'create',
  'reopen',
  'write',
  'sync',
  'truncate',
  'close',
  'rename',
  'syncDirectory',
  'remove',
  'copyAside',
  'setAside',
] as const;
export type DiskOperation = (typeof diskOperations)[number];

/** An error; or one that comes although the operation was done; or how many bytes a write takes. */
export type DiskFault = { readonly error: Error; readonly isDone?: boolean } | { readonly mostBytes: number };

export function diskError(code: 'EIO' | 'ENOSPC' | 'ENOENT' | 'EEXIST' | 'EACCES', operation: string): Error {
  return Object.assign(new Error(`${code}: ${operation}`), { code, syscall: operation });
}

type NameChange =
  | { readonly kind: 'set'; readonly name: string; readonly file: PageCacheFile }
  | { readonly kind: 'delete'; readonly name: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly file: PageCacheFile };

const forever = new Promise<never>(() => undefined);

export class CrashingStorage implements LogStorage {
  readonly #draw: () => number;
  #names: Map<string, PageCacheFile>;
  #durableNames: Map<string, PageCacheFile>;
  #changes: NameChange[] = [];
  #isDead = false;
  #onDeath: () => void = () => undefined;
  /** Operations so far. */
  operations = 0;
  /** The process dies when so many operations were begun; the last is done or not. */
  dieAt = Number.POSITIVE_INFINITY;
  /** Bytes that all files together may have; above it writes are short, then ENOSPC. */
  budgetBytes = Number.POSITIVE_INFINITY;
  fault: (operation: DiskOperation, name: string) => DiskFault | undefined = () => undefined;
  readonly died: Promise<void>;

  /** @param draw numbers from 0 up to 1; chooses what power losses leave and how operations interleave */
  constructor(draw: () => number, files: ReadonlyMap<string, Buffer> = new Map()) {
    this.#draw = draw;
    this.#names = new Map([...files].map(([name, bytes]) => [name, new PageCacheFile(bytes)]));
    this.#durableNames = new Map(this.#names);
    this.died = new Promise((resolve) => {
      this.#onDeath = resolve;
    });
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const file of this.#names.values()) bytes += file.size;
    return bytes;
  }

  /** The files as a process sees them, also those in folders, by their path. */
  files(): Map<string, Buffer> {
    return new Map([...this.#names].map(([name, file]) => [name, file.read()]));
  }

  /** The process dies here, whatever it was doing. */
  die(): void {
    this.#isDead = true;
    this.#onDeath();
  }

  /** One of the folders that a power loss may leave now. */
  afterPowerLoss(): CrashingStorage {
    this.die();
    const names = new Map(this.#durableNames);
    const bias = this.#draw();
    for (const change of this.#changes) {
      if (bias > 0.85 || (bias > 0.15 && this.#draw() < 0.5)) apply(names, change);
    }
    return new CrashingStorage(
      this.#draw,
      new Map([...names].map(([name, file]) => [name, file.afterPowerLoss(this.#draw)])),
    );
  }

  /** The folder for the next process, after this one was killed: the page cache survives. */
  afterKill(): CrashingStorage {
    this.die();
    const after = new CrashingStorage(this.#draw);
    after.#names = this.#names;
    after.#durableNames = this.#durableNames;
    after.#changes = this.#changes;
    return after;
  }

  /** Runs one operation: lets others go first, fails or dies if it is to. */
  async #run<Result>(
    operation: DiskOperation,
    name: string,
    work: (mostBytes: number) => Result,
  ): Promise<Result> {
    for (let turns = Math.floor(this.#draw() * 4); turns > 0; turns--) await undefined;
    if (this.#isDead) return forever;
    if (++this.operations >= this.dieAt) {
      if (this.#draw() < 0.5) this.#attempt(() => work(Number.POSITIVE_INFINITY));
      this.die();
      return forever;
    }
    const fault = this.fault(operation, name);
    if (fault === undefined) return work(Number.POSITIVE_INFINITY);
    if ('mostBytes' in fault) return work(fault.mostBytes);
    if (fault.isDone === true) this.#attempt(() => work(Number.POSITIVE_INFINITY));
    else if (operation === 'sync') this.#names.get(name)?.failSync();
    throw fault.error;
  }

  #attempt(work: () => unknown): void {
    try {
      work();
    } catch {
      // It was about to fail anyway.
    }
  }

  #file(name: string): PageCacheFile {
    const file = this.#names.get(name);
    if (file === undefined) throw diskError('ENOENT', name);
    return file;
  }

  #change(change: NameChange): void {
    apply(this.#names, change);
    this.#changes.push(change);
  }

  #syncNames(): void {
    this.#durableNames = new Map(this.#names);
    this.#changes = [];
  }

  list(): Promise<string[]> {
    return this.#run('list', '', () => [...this.#names.keys()].filter((name) => !name.includes('/')));
  }

  sizeBytes(name: string): Promise<number> {
    return this.#run('size', name, () => this.#file(name).size);
  }

  create(name: string): Promise<SegmentFile> {
    return this.#run('create', name, () => {
      if (this.#names.has(name)) throw diskError('EEXIST', name);
      const file = new PageCacheFile();
      this.#change({ kind: 'set', name, file });
      return this.#handle(name, file);
    });
  }

  reopen(name: string): Promise<SegmentFile> {
    return this.#run('reopen', name, () => this.#handle(name, this.#file(name)));
  }

  #handle(name: string, file: PageCacheFile): SegmentFile {
    return {
      write: (buffers, position) =>
        this.#run('write', name, (mostBytes) => {
          const bytes = Buffer.concat(buffers);
          const room = Math.max(0, this.budgetBytes - this.usedBytes) + Math.max(0, file.size - position);
          const part = bytes.subarray(0, Math.min(mostBytes, room));
          if (part.length === 0 && mostBytes > 0) throw diskError('ENOSPC', 'write');
          file.write(part, position);
          return part.length;
        }),
      sync: () =>
        this.#run('sync', name, () => file.sync()).catch((error: unknown) => {
          file.failSync();
          throw error;
        }),
      truncate: (bytes) => this.#run('truncate', name, () => file.truncate(bytes)),
      close: () => this.#run('close', name, () => undefined),
    };
  }

  read(name: string): Promise<Buffer> {
    return this.#run('read', name, () => this.#file(name).read());
  }

  rename(name: string, newName: string): Promise<void> {
    return this.#run('rename', name, () => {
      this.#change({ kind: 'rename', from: name, to: newName, file: this.#file(name) });
    });
  }

  syncDirectory(): Promise<void> {
    return this.#run('syncDirectory', '', () => this.#syncNames());
  }

  remove(name: string): Promise<void> {
    return this.#run('remove', name, () => {
      this.#file(name);
      this.#change({ kind: 'delete', name });
    });
  }

  copyAside(name: string): Promise<void> {
    return this.#run('copyAside', name, () => {
      const bytes = this.#file(name).read();
      if (this.usedBytes + bytes.length > this.budgetBytes) throw diskError('ENOSPC', 'copyAside');
      const copy = new PageCacheFile(bytes);
      this.#change({ kind: 'set', name: `${damagedFolder}/${name}`, file: copy });
      this.#syncNames();
    });
  }

  setAside(name: string): Promise<void> {
    return this.#run('setAside', name, () => {
      const file = this.#names.get(name);
      let to = `${damagedFolder}/${name}`;
      for (let number = 2; this.#names.has(to); number++) to = `${damagedFolder}/${name}.${number}`;
      if (file !== undefined) this.#change({ kind: 'rename', from: name, to, file });
      // Renamed, but power fails before the folders are synced.
      if (this.operations + 1 < this.dieAt || this.#draw() < 0.5) this.#syncNames();
    });
  }
}

function apply(names: Map<string, PageCacheFile>, change: NameChange): void {
  if (change.kind === 'set') names.set(change.name, change.file);
  else if (change.kind === 'delete') names.delete(change.name);
  else {
    names.delete(change.from);
    names.set(change.to, change.file);
  }
}
