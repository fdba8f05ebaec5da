/** Frames: the bytes of the log. See FORMAT.md for the layout. Pure functions. */
import { crc32 } from 'node:zlib';
import { isPlanted } from '../fault-points.js';
import { formatUuid, parseUuid } from '../uuid7.js';

export const frameType = { segment: 1, durable: 2, producer: 3, request: 4, seal: 5, group: 6 } as const;

/** Length, checksum and type. */
export const frameHeaderBytes = 9;

const magic = Buffer.from('SLUICEW', 'latin1');
/** The byte behind the magic. Version 1 had no group frames and did not tell what its predecessor held. */
const formatVersion = '2';

/** What the checksums of a segment's frames start from. */
export function frameSeed(segmentId: string): number {
  return crc32(parseUuid(segmentId));
}

export interface FramePlace {
  readonly seed: number;
  /** Of the frame within its file. */
  readonly offset: number;
}

/** Header of a frame whose payload is these parts, one after the other. Nothing is copied. */
export function encodeFrameHeader(type: number, place: FramePlace, parts: readonly Buffer[]): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  let length = 0;
  for (const part of parts) length += part.length;
  header.writeUInt32LE(length, 0);
  header[8] = type;
  header.writeUInt32LE(checksum(header, 0, seedAt(place), parts), 4);
  return header;
}

const offsetBytes = Buffer.alloc(8);

/** A frame passes only where it was written. The first one's checksum is that of every version. */
function seedAt({ seed, offset }: FramePlace): number {
  if (offset === 0) return seed;
  offsetBytes.writeBigUInt64LE(BigInt(offset));
  return crc32(offsetBytes, seed);
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
  if ((bytes[offset + 8] as number) > frameType.group) return null;
  const start = offset + frameHeaderBytes;
  const end = start + bytes.readUInt32LE(offset);
  if (end > bytes.length) return null;
  const found = checksum(bytes, offset, seedAt({ seed, offset }), [bytes.subarray(start, end)]);
  if (found !== bytes.readUInt32LE(offset + 4) && !isPlanted('skip-checksum')) return null;
  return { type: bytes[offset + 8] as number, start, end };
}

/** Payload of a segment frame. */
export function encodeSegmentPayload(segmentId: string, createdUnixMs: number): Buffer {
  const payload = Buffer.alloc(32);
  magic.copy(payload, 0);
  payload.write(formatVersion, 7, 'latin1');
  parseUuid(segmentId).copy(payload, 8);
  payload.writeBigUInt64LE(BigInt(createdUnixMs), 24);
  return payload;
}

/** The format's version in a segment frame; undefined if it is not one of this segment. */
export function segmentVersion(payload: Buffer, segmentId: string): string | undefined {
  if (payload.length !== 32 || !payload.subarray(0, 7).equals(magic)) return undefined;
  if (!payload.subarray(8, 24).equals(parseUuid(segmentId))) return undefined;
  return payload.toString('latin1', 7, 8);
}

export function isReadableVersion(version: string): boolean {
  return version === formatVersion;
}

/** What the log knows of one producer. */
export interface DurableEntry {
  /** 16 bytes as latin1 text, which serves as a map key. */
  readonly key: string;
  readonly sequence: number;
  /** The number before the first that the previous segment holds; `sequence`, if it holds none. */
  readonly previousSequence: number;
  /** On the log's own clock; see DurableSnapshot. */
  readonly lastSeenMs: number;
  /**
   * Whether numbers of the producer that lie about here were taken by another log (see `adopt` in log.ts): where
   * the previous segment began says nothing then of where the one before it ended.
   */
  readonly hasJumped?: true;
}

/** What the log knew when a segment was opened. */
export interface DurableSnapshot {
  /**
   * The log's own clock, milliseconds. It counts only while a collector runs and never steps, so that
   * no clock change makes the log forget a producer.
   */
  readonly logTimeMs: number;
  /**
   * The segment that `previousSequence` speaks of: the last one before this that was handed on to be
   * committed. Empty in a log's first segment.
   */
  readonly previousId: string;
  readonly entries: readonly DurableEntry[];
}

export const emptySnapshot: DurableSnapshot = { logTimeMs: 0, previousId: '', entries: [] };

const durableHeadBytes = 28;
const durableEntryBytes = 40;
/** Set in the previous sequence, whose numbers end at 2^53, of a producer that has jumped. */
const jumpBit = 1n << 63n;
const noId = Buffer.alloc(16);

export function encodeDurablePayload({ logTimeMs, previousId, entries }: DurableSnapshot): Buffer {
  const payload = Buffer.allocUnsafe(durableHeadBytes + entries.length * durableEntryBytes);
  payload.writeUInt32LE(entries.length, 0);
  payload.writeBigUInt64LE(BigInt(Math.floor(logTimeMs)), 4);
  (previousId === '' ? noId : parseUuid(previousId)).copy(payload, 12);
  let offset = durableHeadBytes;
  for (const entry of entries) {
    payload.write(entry.key, offset, 16, 'latin1');
    payload.writeBigUInt64LE(BigInt(entry.sequence), offset + 16);
    const previous = BigInt(entry.previousSequence);
    payload.writeBigUInt64LE(entry.hasJumped ? previous | jumpBit : previous, offset + 24);
    payload.writeBigUInt64LE(BigInt(Math.floor(entry.lastSeenMs)), offset + 32);
    offset += durableEntryBytes;
  }
  return payload;
}

/** Undefined if the payload does not have the length that its count says. */
export function decodeDurablePayload(payload: Buffer): DurableSnapshot | undefined {
  if (payload.length < durableHeadBytes) return undefined;
  const count = payload.readUInt32LE(0);
  if (payload.length !== durableHeadBytes + count * durableEntryBytes) return undefined;
  const entries: DurableEntry[] = [];
  for (let index = 0, offset = durableHeadBytes; index < count; index++, offset += durableEntryBytes) {
    const previous = payload.readBigUInt64LE(offset + 24);
    const hasJumped = previous >= jumpBit;
    entries.push({
      key: payload.toString('latin1', offset, offset + 16),
      sequence: Number(payload.readBigUInt64LE(offset + 16)),
      previousSequence: Number(hasJumped ? previous ^ jumpBit : previous),
      lastSeenMs: Number(payload.readBigUInt64LE(offset + 32)),
      ...(hasJumped && { hasJumped }),
    });
  }
  const previous = payload.subarray(12, durableHeadBytes);
  return {
    logTimeMs: Number(payload.readBigUInt64LE(4)),
    previousId: previous.equals(noId) ? '' : formatUuid(previous),
    entries,
  };
}

/** Payload of a group frame: where it lies itself. */
export function encodeGroupPayload(offset: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64LE(BigInt(offset));
  return payload;
}

export function isGroupAt(bytes: Buffer, frame: Frame, offset: number): boolean {
  return frame.end - frame.start === 8 && bytes.readBigUInt64LE(frame.start) === BigInt(offset);
}

/**
 * The first sound group frame at or behind `offset`, or −1. It says where it lies itself, so that a
 * checksum is made only where nearly certainly one is.
 */
export function findGroup(bytes: Buffer, offset: number, seed: number): number {
  let at = bytes.indexOf(frameType.group, offset + 8);
  for (; at >= 0 && at + 9 <= bytes.length; at = bytes.indexOf(frameType.group, at + 1)) {
    const start = at - 8;
    if (bytes.readUInt32LE(start) !== 8 || bytes.readUInt32LE(at + 1) !== start) continue;
    const frame = readFrame(bytes, start, seed);
    if (frame !== null && isGroupAt(bytes, frame, start)) return start;
  }
  return -1;
}

export interface ProducerHead {
  /** Position among the segment's producers, from 0. */
  readonly index: number;
  /** The producer's number before the first that the segment holds. */
  readonly baseSequence: number;
  /** 16 bytes. */
  readonly id: Buffer;
}

const producerHeadBytes = 12;

/** What a producer frame holds before the encoded `Producer`. */
export function encodeProducerHead({ index, baseSequence, id }: ProducerHead): Buffer {
  const head = Buffer.allocUnsafe(producerHeadBytes + 16);
  head.writeUInt32LE(index, 0);
  head.writeBigUInt64LE(BigInt(baseSequence), 4);
  id.copy(head, producerHeadBytes);
  return head;
}

export interface ProducerFrame {
  readonly index: number;
  readonly baseSequence: number;
  /** 16 bytes id, then the encoded `Producer`. */
  readonly identity: Buffer;
}

/** Undefined if the payload is too short to be a producer's. */
export function decodeProducerFrame(payload: Buffer): ProducerFrame | undefined {
  if (payload.length < producerHeadBytes + 16) return undefined;
  return {
    index: payload.readUInt32LE(0),
    baseSequence: Number(payload.readBigUInt64LE(4)),
    identity: payload.subarray(producerHeadBytes),
  };
}

export function encodeSealPayload(requests: number, events: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32LE(requests, 0);
  payload.writeUInt32LE(events, 4);
  return payload;
}
