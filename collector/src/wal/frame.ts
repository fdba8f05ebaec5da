/** Frames: the bytes of the log. See FORMAT.md for the layout. Pure functions. */
import { crc32 } from 'node:zlib';
import { isPlanted } from '../fault-points.js';
import { parseUuid } from '../uuid7.js';

export const frameType = { segment: 1, durable: 2, producer: 3, request: 4, seal: 5 } as const;

/** Length, checksum and type. */
export const frameHeaderBytes = 9;

const magic = Buffer.from('SLUICEW1', 'latin1');

/** What the checksums of a segment's frames start from. */
export function frameSeed(segmentId: string): number {
  return crc32(parseUuid(segmentId));
}

/** Header of a frame whose payload is these parts, one after the other. Nothing is copied. */
export function encodeFrameHeader(type: number, seed: number, parts: readonly Buffer[]): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  let length = 0;
  for (const part of parts) length += part.length;
  header.writeUInt32LE(length, 0);
  header[8] = type;
  header.writeUInt32LE(checksum(header, 0, seed, parts), 4);
  return header;
}

function checksum(header: Buffer, offset: number, seed: number, parts: readonly Buffer[]): number {
  let value = crc32(header.subarray(offset + 8, offset + 9), seed);
  value = crc32(header.subarray(offset, offset + 4), value);
  for (const part of parts) value = crc32(part, value);
  return value;
}

export interface Frame {
  readonly type: number;
  /** Bounds of the payload within the file's bytes. */
  readonly start: number;
  readonly end: number;
}

/** The frame at `offset`, or null if what lies there is not a whole and sound frame. */
export function readFrame(bytes: Buffer, offset: number, seed: number): Frame | null {
  if (offset + frameHeaderBytes > bytes.length) return null;
  const start = offset + frameHeaderBytes;
  const end = start + bytes.readUInt32LE(offset);
  if (end > bytes.length) return null;
  const found = checksum(bytes, offset, seed, [bytes.subarray(start, end)]);
  if (found !== bytes.readUInt32LE(offset + 4) && !isPlanted('skip-checksum')) return null;
  return { type: bytes[offset + 8] as number, start, end };
}

/** Payload of a segment frame. */
export function encodeSegmentPayload(segmentId: string, createdUnixMs: number): Buffer {
  const payload = Buffer.alloc(32);
  magic.copy(payload, 0);
  parseUuid(segmentId).copy(payload, 8);
  payload.writeBigUInt64LE(BigInt(createdUnixMs), 24);
  return payload;
}

export function isSegmentPayload(payload: Buffer, segmentId: string): boolean {
  return (
    payload.length === 32 &&
    payload.subarray(0, 8).equals(magic) &&
    payload.subarray(8, 24).equals(parseUuid(segmentId))
  );
}

/** What the log knows of one producer. */
export interface DurableEntry {
  /** 16 bytes as latin1 text, which serves as a map key. */
  readonly key: string;
  readonly sequence: number;
  /** On the log's own clock; see DurableSnapshot. */
  readonly lastSeenMs: number;
}

export interface DurableSnapshot {
  /**
   * The log's own clock when the segment was opened, milliseconds. It counts only while a collector
   * runs and never steps, so that no clock change makes the log forget a producer.
   */
  readonly logTimeMs: number;
  readonly entries: readonly DurableEntry[];
}

const durableEntryBytes = 32;

export function encodeDurablePayload({ logTimeMs, entries }: DurableSnapshot): Buffer {
  const payload = Buffer.allocUnsafe(12 + entries.length * durableEntryBytes);
  payload.writeUInt32LE(entries.length, 0);
  payload.writeBigUInt64LE(BigInt(Math.floor(logTimeMs)), 4);
  let offset = 12;
  for (const entry of entries) {
    payload.write(entry.key, offset, 16, 'latin1');
    payload.writeBigUInt64LE(BigInt(entry.sequence), offset + 16);
    payload.writeBigUInt64LE(BigInt(Math.floor(entry.lastSeenMs)), offset + 24);
    offset += durableEntryBytes;
  }
  return payload;
}

export function decodeDurablePayload(payload: Buffer): DurableSnapshot {
  const entries: DurableEntry[] = [];
  const count = payload.readUInt32LE(0);
  for (let index = 0, offset = 12; index < count; index++, offset += durableEntryBytes) {
    entries.push({
      key: payload.toString('latin1', offset, offset + 16),
      sequence: Number(payload.readBigUInt64LE(offset + 16)),
      lastSeenMs: Number(payload.readBigUInt64LE(offset + 24)),
    });
  }
  return { logTimeMs: Number(payload.readBigUInt64LE(4)), entries };
}

export function encodeSealPayload(requests: number, events: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32LE(requests, 0);
  payload.writeUInt32LE(events, 4);
  return payload;
}
