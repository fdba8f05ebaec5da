/**
 * What workers and the primary tell each other of producers, many at a time: 25 bytes each, in one Buffer a
 * turn of the event loop. The order is kept: ownership rests on it.
 */
import type { RefusalReason } from './ownership-table.js';

const kinds = [
  // From a worker.
  'found',
  'claim',
  'released',
  'forgotten',
  // From the primary.
  'grant',
  'refuse',
  'release',
  'forget_idle',
] as const;
export type LetterKind = (typeof kinds)[number];

export interface Letter {
  readonly kind: LetterKind;
  /** The producer's 16 id bytes as latin1 text; empty where none is meant. */
  readonly key: string;
  /** A sequence or, of a refusal, the reason's place in `reasons`. */
  readonly number: number;
}

/** In the order of their numbers in a letter. */
export const reasons: readonly RefusalReason[] = ['moving', 'unread', 'full'];

/** 1 byte kind, 16 bytes producer, 8 bytes number. */
const letterBytes = 25;
/** One Buffer holds no more, so that no single message is large. */
const mostLetters = 20_000;

export function encodeLetters(letters: readonly Letter[]): Buffer {
  const bytes = Buffer.alloc(letters.length * letterBytes);
  let offset = 0;
  for (const { kind, key, number } of letters) {
    bytes[offset] = kinds.indexOf(kind);
    bytes.write(key, offset + 1, 16, 'latin1');
    bytes.writeBigUInt64LE(BigInt(number), offset + 17);
    offset += letterBytes;
  }
  return bytes;
}

export function* decodeLetters(bytes: Buffer): Generator<Letter> {
  for (let offset = 0; offset < bytes.length; offset += letterBytes) {
    yield {
      kind: kinds[bytes[offset] as number] as LetterKind,
      key: bytes.toString('latin1', offset + 1, offset + 17),
      number: Number(bytes.readBigUInt64LE(offset + 17)),
    };
  }
}

/** Collects letters and sends them together. */
export class Outbox {
  readonly #send: (letters: Buffer) => void;
  #letters: Letter[] = [];
  #planned: NodeJS.Immediate | undefined;

  constructor(send: (letters: Buffer) => void) {
    this.#send = send;
  }

  put(kind: LetterKind, key: string, number = 0): void {
    this.#letters.push({ kind, key, number });
    if (this.#letters.length >= mostLetters) this.flush();
    else this.#planned ??= setImmediate(() => this.flush());
  }

  flush(): void {
    if (this.#planned !== undefined) clearImmediate(this.#planned);
    this.#planned = undefined;
    const letters = this.#letters;
    this.#letters = [];
    if (letters.length > 0) this.#send(encodeLetters(letters));
  }
}
