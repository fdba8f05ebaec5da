import { randomFillSync } from 'node:crypto';

/**
 * UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits. Ids from one
 * source ascend strictly, also when the wall clock steps back: the time part never goes below the
 * last id's, and within one millisecond the 12 bits of rand_a count (method 1 of section 6.2).
 */
export class Uuid7Source {
  readonly #now: () => number;
  #lastMs = 0;
  #counter = 0;

  /** @param floor an id that all new ones must lie above, such as the last one on disk */
  constructor(now: () => number, floor?: string) {
    this.#now = now;
    if (floor !== undefined) {
      const bytes = parseUuid(floor);
      this.#lastMs = uuidTimeMs(floor);
      this.#counter = (((bytes[6] as number) & 0x0f) << 8) | (bytes[7] as number);
    }
  }

  next(): string {
    const ms = Math.max(this.#now(), this.#lastMs);
    if (ms > this.#lastMs) {
      this.#lastMs = ms;
      this.#counter = 0;
    } else if (++this.#counter > 0xfff) {
      this.#lastMs++;
      this.#counter = 0;
    }
    const bytes = Buffer.alloc(16);
    randomFillSync(bytes, 8);
    bytes.writeUIntBE(this.#lastMs, 0, 6);
    bytes[6] = 0x70 | (this.#counter >> 8);
    bytes[7] = this.#counter & 0xff;
    bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
    return formatUuid(bytes);
  }
}

/** 16 bytes to the usual text. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The usual text to 16 bytes; throws for anything else. */
export function parseUuid(text: string): Buffer {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) throw new Error(`not a UUID: ${text}`);
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

/** The time part of a UUIDv7, Unix milliseconds. */
export function uuidTimeMs(text: string): number {
  return Number.parseInt(text.slice(0, 8) + text.slice(9, 13), 16);
}
