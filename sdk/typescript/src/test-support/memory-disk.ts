import { basename, dirname } from 'node:path';
import type { SpoolFiles } from '../spool/files.js';

type Fault = (operation: keyof SpoolFiles, path: string, bytes: number) => Error | undefined;

interface Write {
  readonly path: string;
  readonly bytes: Buffer;
  readonly position: number;
}

/**
 * A disk in memory, for any number of processes one after the other: a process that is killed leaves what it wrote,
 * and a part of what it was writing, and does nothing any more.
 */
export class MemoryDisk {
  readonly files = new Map<string, Buffer>();
  readonly folders = new Set<string>();
  /** Asked before each operation. */
  fault: Fault | undefined;
  #process = 0;
  readonly #underWay = new Set<Write>();

  /** The disk as a new process sees it. */
  open(): SpoolFiles {
    return new ProcessFiles(this, ++this.#process);
  }

  isAlive(process: number): boolean {
    return process === this.#process;
  }

  /** Ends the process, in the middle of whatever it writes. */
  kill(random: () => number): void {
    this.#process++;
    for (const write of this.#underWay) {
      if (this.files.has(write.path)) {
        this.put(
          write.path,
          write.bytes.subarray(0, Math.floor(random() * (write.bytes.length + 1))),
          write.position,
        );
      }
    }
    this.#underWay.clear();
    // All processes of a test have one id, so that the dead one would seem alive.
    for (const path of [...this.folders]) {
      if (path.includes('@')) this.rename(path, path.slice(0, path.indexOf('@')));
    }
  }

  async write(process: number, write: Write): Promise<void> {
    this.#underWay.add(write);
    await turn();
    if (!this.isAlive(process)) return forever();
    this.#underWay.delete(write);
    this.put(write.path, write.bytes, write.position);
  }

  put(path: string, bytes: Buffer, position: number): void {
    const before = this.files.get(path) ?? Buffer.alloc(0);
    const after = Buffer.alloc(Math.max(before.length, position + bytes.length));
    before.copy(after);
    bytes.copy(after, position);
    this.files.set(path, after);
  }

  rename(from: string, to: string): void {
    if (this.files.has(from)) {
      this.files.set(to, this.files.get(from)!);
      this.files.delete(from);
      return;
    }
    if (!this.folders.has(from)) throw failure('ENOENT', from);
    if (this.folders.has(to)) throw failure('ENOTEMPTY', to);
    this.folders.delete(from);
    this.folders.add(to);
    for (const [path, bytes] of [...this.files]) {
      if (dirname(path) !== from) continue;
      this.files.delete(path);
      this.files.set(`${to}/${basename(path)}`, bytes);
    }
  }
}

class ProcessFiles implements SpoolFiles {
  readonly #disk: MemoryDisk;
  readonly #process: number;
  /** As the kernel does: a descriptor stays with its file when a folder above is renamed. */
  readonly #open = new Map<number, { path: string }>();
  #nextFile = 3;

  constructor(disk: MemoryDisk, process: number) {
    this.#disk = disk;
    this.#process = process;
  }

  makeFolder(path: string): Promise<void> {
    return this.#do('makeFolder', path, () => this.makeFolderSync(path));
  }
  list(path: string): Promise<string[]> {
    return this.#do('list', path, () => {
      const names = [...this.#disk.files.keys(), ...this.#disk.folders].filter(
        (each) => dirname(each) === path,
      );
      if (names.length === 0 && !this.#disk.folders.has(path)) throw failure('ENOENT', path);
      return names.map((each) => basename(each));
    });
  }
  create(path: string): Promise<number> {
    return this.#do('create', path, () => this.createSync(path));
  }
  openForWriting(path: string): Promise<number> {
    return this.#do('openForWriting', path, () => {
      if (!this.#disk.files.has(path)) throw failure('ENOENT', path);
      return this.#descriptor(path);
    });
  }
  async write(file: number, buffers: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = Buffer.concat(buffers);
    const { path } = this.#file(file);
    try {
      this.#check('write', path, bytes.length);
    } catch (error) {
      // As a disk that becomes full does.
      this.#disk.put(path, bytes.subarray(0, bytes.length >> 1), position);
      throw error;
    }
    await this.#disk.write(this.#process, { path, bytes, position });
  }
  truncate(file: number, bytes: number): Promise<void> {
    const { path } = this.#file(file);
    return this.#do('truncate', path, () => {
      this.#disk.files.set(path, this.#disk.files.get(path)!.subarray(0, bytes));
    });
  }
  sync(file: number): Promise<void> {
    return this.#do('sync', this.#file(file).path, () => undefined);
  }
  close(file: number): Promise<void> {
    return this.#do('close', '', () => this.closeSync(file));
  }
  size(path: string): Promise<number> {
    return this.#do('size', path, () => this.#bytes(path).length);
  }
  read(path: string): Promise<Buffer> {
    return this.#do('read', path, () => Buffer.from(this.#bytes(path)));
  }
  remove(path: string): Promise<void> {
    return this.#do('remove', path, () => {
      if (!this.#disk.files.delete(path)) throw failure('ENOENT', path);
    });
  }
  removeFolder(path: string): Promise<void> {
    return this.#do('removeFolder', path, () => this.removeFolderSync(path));
  }
  rename(from: string, to: string): Promise<void> {
    return this.#do('rename', from, () => this.#disk.rename(from, to));
  }
  syncFolder(path: string): Promise<void> {
    return this.#do('syncFolder', path, () => undefined);
  }
  makeFolderSync(path: string): void {
    this.#disk.folders.add(dirname(path));
    this.#disk.folders.add(path);
  }
  createSync(path: string): number {
    if (!this.#disk.folders.has(dirname(path))) throw failure('ENOENT', path);
    if (this.#disk.files.has(path)) throw failure('EEXIST', path);
    this.#disk.files.set(path, Buffer.alloc(0));
    return this.#descriptor(path);
  }
  writeSync(file: number, buffers: readonly Uint8Array[], position: number): void {
    const bytes = Buffer.concat(buffers);
    const { path } = this.#file(file);
    this.#check('writeSync', path, bytes.length);
    this.#disk.put(path, bytes, position);
  }
  truncateSync(file: number, bytes: number): void {
    const { path } = this.#file(file);
    this.#disk.files.set(path, this.#disk.files.get(path)!.subarray(0, bytes));
  }
  closeSync(file: number): void {
    this.#open.delete(file);
  }
  renameSync(from: string, to: string): void {
    this.#disk.rename(from, to);
  }
  removeFolderSync(path: string): void {
    if ([...this.#disk.files.keys()].some((each) => dirname(each) === path)) throw failure('ENOTEMPTY', path);
    if (!this.#disk.folders.delete(path)) throw failure('ENOENT', path);
  }

  #descriptor(path: string): number {
    this.#open.set(this.#nextFile, { path });
    return this.#nextFile++;
  }

  #file(file: number): { path: string } {
    const found = this.#open.get(file);
    if (found === undefined) throw failure('EBADF', String(file));
    return found;
  }

  #bytes(path: string): Buffer {
    const bytes = this.#disk.files.get(path);
    if (bytes === undefined) throw failure('ENOENT', path);
    return bytes;
  }

  async #do<Result>(operation: keyof SpoolFiles, path: string, run: () => Result): Promise<Result> {
    await turn();
    if (!this.#disk.isAlive(this.#process)) return forever();
    this.#check(operation, path, 0);
    return run();
  }

  #check(operation: keyof SpoolFiles, path: string, bytes: number): void {
    const fault = this.#disk.fault?.(operation, path, bytes);
    if (fault !== undefined) throw fault;
  }
}

export function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a killed process waits for. */
function forever(): Promise<never> {
  return new Promise(() => undefined);
}
