/**
 * The folder below the data directory where the bodies of INSERTs wait for the engine, and where the
 * result pipes stand.
 *
 * 1. Nothing in it outlives the process: it is emptied at start, and a file is removed when its
 *    INSERT has ended.
 * 2. One body has at most `insertBodyBytes`, all together `spoolBytes`.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exception } from './exceptions.js';

/** Bodies on the disk at the same time, as a multiple of the largest one. */
const bodiesAtOnce = 4;
/** Chunks are gathered to this size: a write costs a trip to a thread, whatever its size. */
const writeBytes = 1024 * 1024;

export class Spool {
  readonly directory: string;
  readonly #bodyBytes: number;
  #bytes = 0;

  constructor(dataDir: string, insertBodyBytes: number) {
    this.directory = join(dataDir, 'sluice-spool');
    this.#bodyBytes = insertBodyBytes;
  }

  /** Only once the engine holds the data directory: before that, the folder may be another process's. */
  async start(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
  }

  async create(): Promise<SpoolFile> {
    const path = join(this.directory, `${randomUUID()}.body`);
    return new SpoolFile(path, await open(path, 'wx', 0o600), (bytes) => this.#take(bytes), this.#bodyBytes);
  }

  #take(bytes: number): void {
    if (this.#bytes + bytes > this.#bodyBytes * bodiesAtOnce) {
      throw exception(
        'NOT_ENOUGH_SPACE',
        `Bodies of INSERTs that wait hold ${this.#bytes} bytes of the spool; ${this.#bodyBytes * bodiesAtOnce} are allowed. ` +
          'Send the INSERT again later',
      );
    }
    this.#bytes += bytes;
  }
}

export class SpoolFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #take: (bytes: number) => void;
  readonly #limit: number;
  #bytes = 0;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #open = true;

  constructor(path: string, file: FileHandle, take: (bytes: number) => void, limit: number) {
    this.path = path;
    this.#file = file;
    this.#take = take;
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async append(chunk: Buffer): Promise<void> {
    if (this.#bytes + chunk.length > this.#limit) {
      throw exception(
        'QUERY_IS_TOO_LARGE',
        `The data of an INSERT has more than ${this.#limit} bytes, which is what is allowed (embedded.insertBodyBytes); ` +
          'send it as several INSERTs',
      );
    }
    this.#take(chunk.length);
    this.#bytes += chunk.length;
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= writeBytes) await this.#flush();
  }

  /** Everything is in the file when this resolves. */
  async close(): Promise<void> {
    if (!this.#open) return;
    await this.#flush();
    this.#open = false;
    await this.#file.close();
  }

  async remove(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      await this.#file.close();
    }
    this.#take(-this.#bytes);
    this.#bytes = 0;
    await rm(this.path, { force: true });
  }

  async #flush(): Promise<void> {
    let chunks = this.#gathered;
    let left = this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    while (left > 0) {
      const { bytesWritten } = await this.#file.writev(chunks);
      left -= bytesWritten;
      if (left > 0) chunks = [Buffer.concat(chunks).subarray(bytesWritten)];
    }
  }
}
