/**
 * Bodies of INSERTs that a client on this machine puts into the spool's folder itself, instead of sending
 * them: the request names the file, and the engine reads it where it lies. A collector that finds the folder
 * on its own file system spares both processes the way of every byte through a socket.
 *
 * 1. A name cannot lead out of the folder, and only who may write into the folder, this user, can hand over.
 * 2. The file must have just the bytes that the request says, so half a file is never inserted.
 * 3. The file is the client's: it is not changed or removed here, but for one that is long forgotten.
 */
import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exception } from './exceptions.js';

/** The parameter of an INSERT's URL that names the file: `<uuid>.<bytes>`. */
export const handedBodyParameter = 'sluice_handed_body';
/** Where a client asks for the folder. */
export const handoverPath = '/sluice/handover';

const ending = '.handed';
const proofName = 'handover-proof';
const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,15})$/;
/** Longer than any client waits for an INSERT before it takes the file for lost. */
const forgottenMs = 15 * 60_000;

/** Where the data of an INSERT lies. */
export interface BodyFile {
  readonly path: string;
  /** Once the INSERT has ended. */
  remove(): Promise<void>;
}

function problemOf(found: Stats | undefined): string {
  if (found === undefined) return 'is not there';
  return found.isFile() ? `has ${found.size} bytes` : 'is no file';
}

export class HandedBodies {
  readonly #directory: string;
  readonly #bodyBytes: number;
  readonly #proof = randomUUID();
  #sweeping: NodeJS.Timeout | undefined;

  constructor(directory: string, insertBodyBytes: number) {
    this.#directory = directory;
    this.#bodyBytes = insertBodyBytes;
  }

  /** Once the folder is there, and empty. */
  async start(): Promise<void> {
    await writeFile(join(this.#directory, proofName), this.#proof, { mode: 0o600 });
    this.#sweeping = setInterval(() => void this.#sweep(), forgottenMs / 5);
    this.#sweeping.unref();
  }

  stop(): void {
    clearInterval(this.#sweeping);
  }

  /** The folder, and a file in it whose content proves to a client that it sees the same folder. */
  get offer(): { directory: string; proofFile: string; proof: string } {
    return { directory: this.#directory, proofFile: proofName, proof: this.#proof };
  }

  /** Throws an Exception if there is no such file. */
  async find(name: string): Promise<BodyFile> {
    const [, id, size] = form.exec(name) ?? [];
    if (id === undefined) throw exception('BAD_ARGUMENTS', `${handedBodyParameter} is not <uuid>.<bytes>`);
    if (Number(size) > this.#bodyBytes) {
      throw exception(
        'QUERY_IS_TOO_LARGE',
        `The data of an INSERT has ${size} bytes; ${this.#bodyBytes} are allowed (embedded.insertBodyBytes); send it as several INSERTs`,
      );
    }
    const path = join(this.#directory, `${id}${ending}`);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() !== true || found.size !== Number(size)) {
      throw exception(
        'FILE_DOESNT_EXIST',
        `The handed body ${id} of ${size} bytes ${problemOf(found)}; send the data with the request`,
      );
    }
    return { path, remove: async () => {} };
  }

  /** Removes what a client left that died. Whoever still reads such a file goes on reading it. */
  async #sweep(): Promise<void> {
    const names = await readdir(this.#directory).catch(() => []);
    for (const name of names.filter((one) => one.endsWith(ending))) {
      const path = join(this.#directory, name);
      const found = await stat(path).catch(() => undefined);
      if (found === undefined || Date.now() - found.mtimeMs <= forgottenMs) continue;
      // What cannot be removed now is found again by the next sweep; nobody waits for this one.
      await rm(path, { force: true }).catch(() => undefined);
    }
  }
}
