/**
 * Inflates compressed messages, few at a time: a message of 16 KiB can hold 16 MiB, and each zlib
 * stream costs tens of KiB before it has read a byte. zlib stops at the largest message allowed.
 */
import { gunzip, type InputType, inflate, type ZlibOptions } from 'node:zlib';

type Inflate = (
  input: InputType,
  options: ZlibOptions,
  done: (error: Error | null, output: Buffer) => void,
) => void;
const encodings: Readonly<Record<string, Inflate>> = { gzip: gunzip, deflate: inflate };

export type Inflated =
  | { readonly kind: 'inflated'; readonly message: Buffer }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'broken'; readonly problem: string }
  | { readonly kind: 'unknown_encoding' };

/** zlib goes to its thread once for each chunk of its output: 16 MiB in chunks of 16 KiB take a second. */
function chunkBytes(input: Buffer): number {
  return Math.min(Math.max(input.length * 8, 16 * 1024), 1024 * 1024);
}

export class Inflater {
  readonly #messageBytes: number;
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(messageBytes: number, atOnce: number) {
    this.#messageBytes = messageBytes;
    this.#free = atOnce;
  }

  /** @param isWanted asked when its turn comes: a call that is gone costs nothing */
  async inflate(bytes: Buffer, encoding: string, isWanted: () => boolean): Promise<Inflated> {
    const run = encodings[encoding];
    if (run === undefined) return { kind: 'unknown_encoding' };
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      if (!isWanted()) return { kind: 'broken', problem: 'the call is gone' };
      return await new Promise<Inflated>((resolve) => {
        run(
          bytes,
          { maxOutputLength: this.#messageBytes, chunkSize: chunkBytes(bytes) },
          (error, message) => {
            if (error === null) resolve({ kind: 'inflated', message });
            else if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
              resolve({ kind: 'too_large' });
            else resolve({ kind: 'broken', problem: error.message });
          },
        );
      });
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
