/**
 * Named pipes that the engine writes results into (`INTO OUTFILE`), so that a result of any size and
 * any format leaves the engine exactly as the engine writes it, in constant memory and without the
 * disk, and a slow client slows its statement down.
 *
 * 1. The pipe is opened for reading before the statement starts, and this process holds a writer of
 *    its own until the statement has ended: the end of the pipe is the end of the result.
 * 2. A pipe serves one statement at a time and is used again by the next.
 * 3. The reader is open until the statement has ended: the engine opens the pipe when it comes to it,
 *    and with nobody at the other end it would wait there, out of reach of KILL QUERY. What nobody
 *    wants any more is read and thrown away.
 */
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SluiceError } from '../errors.js';

export interface ResultPipe {
  readonly path: string;
  readonly reader: Socket;
  /** To be called when the statement has ended; the reader then comes to its end. */
  finish(): void;
  /** Reads what is left and throws it away. */
  discard(): void;
  /** Gives the pipe back; only after the statement has ended. */
  release(): void;
}

const makeFifo = promisify(execFile);

export class ResultPipes {
  readonly #directory: string;
  readonly #idle: string[] = [];
  #made = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes a pipe, so that a machine where none can be made is found at the start. */
  async start(): Promise<void> {
    try {
      (await this.open()).release();
    } catch (cause) {
      throw new SluiceError(
        'store_unavailable',
        `named pipes cannot be made in ${this.#directory}: ${(cause as Error).message.trim()}. The embedded store ` +
          'needs the command mkfifo (coreutils) and a data directory on a local file system.',
        { cause },
      );
    }
  }

  async open(): Promise<ResultPipe> {
    const path = this.#idle.pop() ?? (await this.#make());
    const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writing = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    const reader = new Socket({ fd: reading, readable: true, writable: false });
    // An error surfaces where the reader is consumed; without a listener it would end the process.
    reader.on('error', () => {});
    let finished = false;
    let released = false;
    const finish = (): void => {
      if (finished) return;
      finished = true;
      closeSync(writing);
    };
    return {
      path,
      reader,
      finish,
      discard: () => {
        reader.resume();
      },
      release: () => {
        if (released) return;
        released = true;
        finish();
        reader.destroy();
        this.#idle.push(path);
      },
    };
  }

  async #make(): Promise<string> {
    this.#made += 1;
    const path = join(this.#directory, `result-${this.#made}.pipe`);
    await unlink(path).catch(() => {});
    await makeFifo('mkfifo', ['-m', '600', path]);
    return path;
  }
}
