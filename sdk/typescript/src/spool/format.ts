/**
 * The bytes of a spool; sdk/SPOOL.md is the description that other languages follow. Pure functions.
 *
 * 1. A frame is sound if its marker stands and its checksum holds; nothing else in a file is ever believed.
 * 2. The checksum starts from the producer and the segment's number, so that a frame in a wrong file is not sound.
 * 3. Every frame begins with a marker, so that sound frames behind damage are found again.
 */
import { crc32 } from 'node:zlib';
import { uuidText } from '../uuid7.js';

export const frameType = { header: 1, request: 2, acknowledged: 3 } as const;

/** Marker, checksum, length, type. */
export const frameHeadBytes = 13;
/** First and last sequence and the number of events, in front of a request's own bytes. */
export const requestHeadBytes = 20;

const marker = Buffer.from('SPLF', 'latin1');
const magic = Buffer.from('SLUSPL01', 'latin1');
const fileHeadBytes = magic.length + 16 + 4 + 8;

/** Which file: frames of another one are not sound in it. */
export interface SegmentPlace {
  /** 16 bytes. */
  readonly producerId: Uint8Array;
  /** From 1, without holes as long as nothing is lost. */
  readonly segment: number;
}

/** A request as a spool holds it. */
export interface StoredRequest {
  readonly first: number;
  readonly last: number;
  /** Events in it; the other numbers are losses. */
  readonly events: number;
  /** The encoded `LogRequest`, without producer. */
  readonly bytes: Buffer;
}

export interface SegmentContent {
  /** The producer field of a `LogRequest`, if the file's first frame is sound. */
  readonly producer: Buffer | undefined;
  readonly requests: readonly StoredRequest[];
  /** The largest number that a frame says is acknowledged; 0 if none does. */
  readonly acknowledged: number;
  /** Stretches that are not sound, with sound frames behind them. */
  readonly damaged: readonly { readonly offset: number; readonly bytes: number }[];
  /** Where the last sound frame ends. */
  readonly soundBytes: number;
  /** Bytes behind it. */
  readonly tailBytes: number;
  /** What they are: the beginning of a frame whose write never ended, or of one that is not sound any more. */
  readonly tail: 'none' | 'torn' | 'damaged';
}

/** `00000001.spool` */
export function segmentFileName(segment: number): string {
  return `${String(segment).padStart(8, '0')}.spool`;
}

/** The segment's number; undefined for any other file. */
export function parseSegmentFileName(name: string): number | undefined {
  const digits = /^(\d{8})\.spool$/.exec(name)?.[1];
  return digits === undefined || Number(digits) === 0 ? undefined : Number(digits);
}

/** The name of a producer's folder, which tells whose it is; nobody's without an owner. */
export function folderName(producerId: Uint8Array, owner?: string): string {
  return owner === undefined ? uuidText(producerId) : `${uuidText(producerId)}@${owner}`;
}

export function parseFolderName(
  name: string,
): { readonly producerId: Buffer; readonly owner: string | undefined } | undefined {
  const [, uuid, owner] = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:@(.+))?$/.exec(name) ?? [];
  if (uuid === undefined) return undefined;
  return { producerId: Buffer.from(uuid.replaceAll('-', ''), 'hex'), owner };
}

/** What a segment's checksums start from. */
export function frameSeed({ producerId, segment }: SegmentPlace): number {
  const number = Buffer.alloc(4);
  number.writeUInt32LE(segment);
  return crc32(number, crc32(producerId));
}

/** The first frame of a segment. */
export function headerFrame(place: SegmentPlace, createdMs: number, producer: Uint8Array): Buffer {
  const frame = Buffer.alloc(frameHeadBytes + fileHeadBytes + producer.length);
  let at = frameHeadBytes + magic.copy(frame, frameHeadBytes);
  frame.set(place.producerId, at);
  at = frame.writeUInt32LE(place.segment, at + 16);
  at = frame.writeBigUInt64LE(BigInt(createdMs), at);
  frame.set(producer, at);
  return sealFrame(frame, frameType.header, frameSeed(place));
}

/** A request's frame in two parts, so that its bytes are not copied. */
export function requestFrame(request: StoredRequest, seed: number): [Buffer, Buffer] {
  const head = Buffer.alloc(frameHeadBytes + requestHeadBytes);
  let at = head.writeBigUInt64LE(BigInt(request.first), frameHeadBytes);
  at = head.writeBigUInt64LE(BigInt(request.last), at);
  head.writeUInt32LE(request.events, at);
  return [sealFrame(head, frameType.request, seed, request.bytes), request.bytes];
}

/** Says that everything up to a number is acknowledged. */
export function acknowledgedFrame(through: number, seed: number): Buffer {
  const frame = Buffer.alloc(frameHeadBytes + 8);
  frame.writeBigUInt64LE(BigInt(through), frameHeadBytes);
  return sealFrame(frame, frameType.acknowledged, seed);
}

/** Fills in the head of a frame whose payload is behind it, and goes on in `rest`. */
function sealFrame(frame: Buffer, type: number, seed: number, rest?: Buffer): Buffer {
  marker.copy(frame);
  frame.writeUInt32LE(frame.length - frameHeadBytes + (rest?.length ?? 0), 8);
  frame[12] = type;
  const sum = crc32(frame.subarray(8), seed);
  frame.writeUInt32LE(rest === undefined ? sum : crc32(rest, sum), 4);
  return frame;
}

/** Everything sound in a segment's bytes, whatever else is in them. Its requests share the given memory. */
export function readSegment(bytes: Buffer, place: SegmentPlace): SegmentContent {
  const seed = frameSeed(place);
  const requests: StoredRequest[] = [];
  const damaged: { offset: number; bytes: number }[] = [];
  let producer: Buffer | undefined;
  let acknowledged = 0;
  let soundBytes = 0;
  for (let at = 0; at >= 0 && at < bytes.length; ) {
    const end = frameEnd(bytes, at, seed);
    const payload = end === undefined ? undefined : bytes.subarray(at + frameHeadBytes, end);
    const type = bytes[at + 12];
    const request = type === frameType.request && payload ? readRequest(payload) : undefined;
    if (end === undefined || payload === undefined || (type === frameType.request && !request)) {
      at = bytes.indexOf(marker, at + 1);
      continue;
    }
    if (at > soundBytes) damaged.push({ offset: soundBytes, bytes: at - soundBytes });
    if (request !== undefined) requests.push(request);
    else if (type === frameType.header) producer ??= readHeader(payload, place);
    else if (type === frameType.acknowledged && payload.length >= 8) {
      acknowledged = Math.max(acknowledged, Number(payload.readBigUInt64LE(0)));
    }
    // A frame of a type that is not known here belongs to a later version, and is passed over.
    at = soundBytes = end;
  }
  const tail = tailOf(bytes, soundBytes);
  return {
    producer,
    requests,
    acknowledged,
    damaged,
    soundBytes,
    tailBytes: bytes.length - soundBytes,
    tail,
  };
}

/** A killed process leaves the beginning of a frame, a power loss perhaps zeros; anything else was a frame once. */
function tailOf(bytes: Buffer, at: number): SegmentContent['tail'] {
  const left = bytes.length - at;
  if (left === 0) return 'none';
  const isBegun = bytes.subarray(at, at + marker.length).equals(marker.subarray(0, left));
  const isShort = left < frameHeadBytes || left < frameHeadBytes + bytes.readUInt32LE(at + 8);
  if (isBegun && isShort) return 'torn';
  return bytes.subarray(at).every((byte) => byte === 0) ? 'torn' : 'damaged';
}

/** Where the frame ends that begins here; undefined if none does. */
function frameEnd(bytes: Buffer, at: number, seed: number): number | undefined {
  if (at + frameHeadBytes > bytes.length || bytes.readUInt32LE(at) !== marker.readUInt32LE(0))
    return undefined;
  const end = at + frameHeadBytes + bytes.readUInt32LE(at + 8);
  if (end > bytes.length) return undefined;
  return crc32(bytes.subarray(at + 8, end), seed) === bytes.readUInt32LE(at + 4) ? end : undefined;
}

function readRequest(payload: Buffer): StoredRequest | undefined {
  if (payload.length < requestHeadBytes) return undefined;
  const first = Number(payload.readBigUInt64LE(0));
  const last = Number(payload.readBigUInt64LE(8));
  const events = payload.readUInt32LE(16);
  const isRange = first >= 1 && last >= first && last <= Number.MAX_SAFE_INTEGER;
  if (!isRange || events > last - first + 1) return undefined;
  return { first, last, events, bytes: payload.subarray(requestHeadBytes) };
}

function readHeader(payload: Buffer, place: SegmentPlace): Buffer | undefined {
  if (payload.length < fileHeadBytes || !payload.subarray(0, magic.length).equals(magic)) return undefined;
  const id = payload.subarray(magic.length, magic.length + 16);
  return id.equals(place.producerId) ? payload.subarray(fileHeadBytes) : undefined;
}
