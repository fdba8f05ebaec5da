/**
 * Hands the data of an INSERT to an embedded store as a file, where the store offers its folder and this
 * process sees the same one: every byte is written once and read once, and none goes through a socket.
 *
 * Invariants:
 * 1. A file is written again only after the statement that read it has been answered. After an answer that
 *    did not come, it is removed: a statement that still runs keeps what it has opened.
 * 2. What cannot be handed over is sent with the request; nothing depends on the folder, and nothing that goes
 *    wrong with it is thrown.
 * 3. Only a store on this machine is believed: a folder's name from elsewhere would have us write anywhere.
 * 4. After a failure all is sent for a while; failures in a row make the while longer, so that a way on which
 *    handing over never works (a proxy that drops the parameter) costs next to nothing.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, constants, ftruncateSync, openSync, readFileSync, rmSync, writevSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { innerLimits } from '../limits.js';

const { leastBytes, keptFiles, askAgainMs, mostAskAgainMs } = innerLimits.handover;

/** What the store says of its folder, or that there is none. */
export type Offer = { readonly directory: string; readonly proofFile: string; readonly proof: string };

export interface HandedBody {
  /** For the request's URL. */
  readonly parameter: string;
}

interface HandedFile extends HandedBody {
  readonly path: string;
  readonly file: number;
  readonly id: string;
}

export class Handover {
  readonly #ask: () => Promise<Offer | undefined>;
  readonly #monotonic: () => number;
  #directory: string | undefined;
  /** Before this nobody asks. */
  #askAtMs = Number.NEGATIVE_INFINITY;
  #pauseMs: number = askAgainMs;
  readonly #free: HandedFile[] = [];

  /** @param ask asks the store for its offer; rejects if there is no answer */
  constructor(ask: () => Promise<Offer | undefined>, monotonic: () => number = () => performance.now()) {
    this.#ask = ask;
    this.#monotonic = monotonic;
  }

  /** Puts a body into the folder; nothing if it has to be sent. */
  async take(body: readonly Buffer[], bytes: number): Promise<HandedBody | undefined> {
    if (bytes < leastBytes || (await this.#find()) === undefined) return undefined;
    // The folder may have been found by one lane and lost by another meanwhile.
    const directory = this.#directory;
    if (directory === undefined) return undefined;
    try {
      return this.#write(directory, body, bytes);
    } catch {
      // A full disk, a store that was started anew elsewhere: the request carries the data, and fails with a
      // reason of its own if there is one.
      this.#failed();
      return undefined;
    }
  }

  /** The statement has ended, and had read the file: nobody reads it any more. */
  done(body: HandedBody): void {
    const handed = body as HandedFile;
    this.#pauseMs = askAgainMs;
    if (dirname(handed.path) === this.#directory && this.#free.length < keptFiles) this.#free.push(handed);
    else discard(handed);
  }

  /** There was no answer, or one that is no success: the file is given up, and all is sent for a while. */
  lost(body: HandedBody): void {
    discard(body as HandedFile);
    this.#failed();
  }

  #failed(): void {
    this.forget();
    this.#askAtMs = this.#monotonic() + this.#pauseMs;
    this.#pauseMs = Math.min(this.#pauseMs * 2, mostAskAgainMs);
  }

  forget(): void {
    this.#directory = undefined;
    for (const handed of this.#free.splice(0)) discard(handed);
  }

  close(): void {
    this.forget();
  }

  async #find(): Promise<string | undefined> {
    if (this.#directory !== undefined) return this.#directory;
    const nowMs = this.#monotonic();
    if (nowMs < this.#askAtMs) return undefined;
    this.#askAtMs = nowMs + askAgainMs;
    try {
      const offer = await this.#ask();
      if (offer !== undefined && isProven(offer)) this.#directory = offer.directory;
    } catch {
      // No store, or a folder of another machine or user: all is sent.
    }
    return this.#directory;
  }

  #write(directory: string, body: readonly Buffer[], bytes: number): HandedBody {
    const { id, path, file } = this.#free.pop() ?? create(directory);
    try {
      ftruncateSync(file, bytes);
      let chunks = [...body];
      let position = 0;
      while (position < bytes) {
        let left = writevSync(file, chunks.slice(0, mostChunks), position);
        if (left === 0) throw new Error('nothing was written');
        position += left;
        while (chunks.length > 0 && left >= (chunks[0] as Buffer).length)
          left -= (chunks.shift() as Buffer).length;
        if (left > 0) chunks = [(chunks[0] as Buffer).subarray(left), ...chunks.slice(1)];
      }
    } catch (error) {
      discard({ id, path, file, parameter: '' });
      throw error;
    }
    return { id, path, file, parameter: `${id}.${bytes}` } as HandedFile;
  }
}

/** The proof is a file of the folder itself: not one that lies anywhere and whose content is known. */
function isProven({ directory, proofFile, proof }: Offer): boolean {
  if (!isAbsolute(directory) || basename(proofFile) !== proofFile || proof === '') return false;
  return readFileSync(join(directory, proofFile), 'utf8') === proof;
}

/** IOV_MAX of Linux and macOS. */
const mostChunks = 1024;

function create(directory: string): { id: string; path: string; file: number } {
  const id = randomUUID();
  const path = join(directory, `${id}.handed`);
  return { id, path, file: openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600) };
}

function discard({ path, file }: HandedFile): void {
  try {
    closeSync(file);
  } catch {
    // Data that cannot be written back: nobody needs it any more.
  }
  try {
    rmSync(path, { force: true });
  } catch {
    // The folder is not what it was; what may be left there the store removes.
  }
}

/** Whether a URL names this machine, as far as its text tells. */
export function isLoopback(url: URL): boolean {
  const host = url.hostname;
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
