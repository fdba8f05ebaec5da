/**
 * Reads a segment's bytes back. Pure: the bytes come from a storage, or from a test.
 *
 * Invariants:
 * 1. Only whole frames with a right checksum are returned; reading stops at the first other.
 * 2. What is returned for the same bytes is always the same, so a batch cannot change between tries.
 */
import type { Producer, RequestRecord, SegmentContents } from '../record.js';
import {
  type DurableSnapshot,
  decodeDurablePayload,
  frameHeaderBytes,
  frameSeed,
  frameType,
  isSegmentPayload,
  readFrame,
} from './frame.js';
import { decodeRequest } from './request-payload.js';

export interface SegmentReading {
  /** False: not even the first two frames are there, as after a crash during creation. */
  readonly opened: boolean;
  /** Whether the last frame is the seal. */
  readonly sealed: boolean;
  readonly durable: DurableSnapshot;
  /** Producer frames by index: 16 bytes id, then the encoded `Producer`. */
  readonly producers: readonly Buffer[];
  readonly requests: readonly RequestRecord[];
  readonly eventCount: number;
  /** Bytes of the sound frames, from the start. */
  readonly soundBytes: number;
  /** Bytes behind them: a torn tail, or damage. */
  readonly unreadBytes: number;
}

export function readSegment(bytes: Buffer, segmentId: string): SegmentReading {
  const seed = frameSeed(segmentId);
  let opened = false;
  let sealed = false;
  let durable: DurableSnapshot = { logTimeMs: 0, entries: [] };
  const producers: Buffer[] = [];
  const requests: RequestRecord[] = [];
  let eventCount = 0;
  let offset = 0;
  let frames = 0;
  while (!sealed) {
    const frame = readFrame(bytes, offset, seed);
    if (frame === null) break;
    const { type, start, end } = frame;
    if (frames === 0) {
      if (type !== frameType.segment || !isSegmentPayload(bytes.subarray(start, end), segmentId)) break;
    } else if (frames === 1) {
      if (type !== frameType.durable) break;
      durable = decodeDurablePayload(bytes.subarray(start, end));
      opened = true;
    } else if (type === frameType.producer) {
      producers.push(bytes.subarray(start, end));
    } else if (type === frameType.request) {
      const request = decodeRequest(bytes, start, end);
      requests.push(request);
      eventCount += request.eventCount;
    } else if (type === frameType.seal) {
      sealed = true;
    } else break;
    offset = end;
    frames++;
  }
  return {
    opened,
    sealed,
    durable,
    producers,
    requests,
    eventCount,
    soundBytes: offset,
    unreadBytes: bytes.length - offset,
  };
}

/** How many bytes are checksummed at most in the search for a frame behind damage. */
const searchBytes = 256 * 1024 * 1024;

/**
 * Whether a sound frame lies somewhere behind the bytes that could not be read. A crash tears the end
 * off and leaves nothing behind it; damage in the middle leaves what was written after it.
 */
export function hasFrameBehind(bytes: Buffer, soundBytes: number, segmentId: string): boolean {
  const seed = frameSeed(segmentId);
  let checked = 0;
  for (let offset = soundBytes + 1; offset + frameHeaderBytes <= bytes.length; offset++) {
    const type = bytes[offset + 8] as number;
    const length = bytes.readUInt32LE(offset);
    if (type < frameType.producer || type > frameType.seal) continue;
    if (offset + frameHeaderBytes + length > bytes.length) continue;
    if (!isPlausible(bytes, offset + frameHeaderBytes, type, length)) continue;
    checked += length;
    if (checked > searchBytes) return true;
    if (readFrame(bytes, offset, seed) !== null) return true;
  }
  return false;
}

/** Cheap tests that nearly every place fails which is not the start of a frame, before its checksum is made. */
function isPlausible(bytes: Buffer, start: number, type: number, length: number): boolean {
  if (type === frameType.seal) return length === 8;
  // Producer: its id, then the encoded `Producer`, whose first field every encoder makes the id again.
  if (type === frameType.producer) {
    if (length < 34 || bytes[start + 16] !== 0x0a || bytes[start + 17] !== 0x10) return false;
    return bytes.compare(bytes, start, start + 16, start + 18, start + 34) === 0;
  }
  // Request: the high halves of the time and of both sequences are small numbers.
  if (length < 40) return false;
  const timeHigh = bytes.readUInt32LE(start + 8);
  return (
    timeHigh > 0 &&
    timeHigh < 0x10000 &&
    bytes.readUInt32LE(start + 16) < 0x200000 &&
    bytes.readUInt32LE(start + 24) < 0x200000
  );
}

/** The reading as the next stage takes it. `decode` turns an encoded producer into one. */
export function segmentContents(
  reading: SegmentReading,
  segmentId: string,
  bytes: Buffer,
  decode: (encoded: Buffer) => Producer,
): SegmentContents {
  return {
    id: segmentId,
    bytes,
    producers: reading.producers.map((frame) => decode(frame.subarray(16))),
    requests: reading.requests,
    eventCount: reading.eventCount,
  };
}
