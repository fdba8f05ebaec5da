import { randomFillSync } from 'node:crypto';

/** 16 bytes of a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds since 1970, then random bits. */
export function uuid7(unixMs: number): Uint8Array {
  const bytes = randomFillSync(new Uint8Array(16));
  let restMs = Math.floor(unixMs);
  for (let index = 5; index >= 0; index--) {
    bytes[index] = restMs % 256;
    restMs = Math.floor(restMs / 256);
  }
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

/** The usual text form of 16 bytes, lower case. */
export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
