/**
 * Reads a segment's bytes back. Pure: the bytes come from a storage, or from a test.
 *
 * Invariants:
 * 1. Only whole frames with a right checksum are returned.
 * 2. What is returned for the same bytes is always the same, so a batch cannot change between tries.
 * 3. Behind bytes that do not pass, reading goes on only if a later group lies there: a group is written
 *    after all before it was synced, so it proves that what broke was durable once, and is damage.
 *    Without one, the rest is a tail that a crash tore off, and that nobody was told of.
 */
import type { Producer, RequestRecord, SegmentContents } from '../record.js';
import {
  type DurableSnapshot,
  decodeDurablePayload,
  decodeProducerFrame,
  emptySnapshot,
  type Frame,
  findGroup,
  frameHeaderBytes,
  frameSeed,
  frameType,
  isGroupAt,
  isReadableVersion,
  readFrame,
  segmentVersion,
} from './frame.js';
import { decodeRequest } from './request-payload.js';

/** A producer as a segment names it. */
export interface SegmentProducer {
  /** 16 bytes id, then the encoded `Producer`. */
  readonly identity: Buffer;
  /** Its number before the first that the segment holds. */
  readonly baseSequence: number;
}

export interface SegmentReading {
  /** Whether the durable sequences at the start are there. A file has its name only once they are. */
  readonly opened: boolean;
  /** A version of the format that this code does not read; undefined if it does, or nobody knows. */
  readonly foreignVersion: string | undefined;
  /** Whether the last frame is the seal. */
  readonly sealed: boolean;
  readonly durable: DurableSnapshot;
  readonly producers: readonly SegmentProducer[];
  /** Each refers to its producer by the place in `producers`. */
  readonly requests: readonly RequestRecord[];
  readonly eventCount: number;
  /** Bytes in front of sound frames that do not pass: damage, never a torn tail. */
  readonly brokenBytes: number;
  /** End of the last sound frame. */
  readonly soundBytes: number;
  /** Bytes behind it: a torn tail or, in a segment that is not the youngest, damage. */
  readonly unreadBytes: number;
}

/** Whether everything that was written into the segment can be read. */
export function isWhole(reading: SegmentReading): boolean {
  return reading.opened && reading.sealed && reading.brokenBytes === 0;
}

export function readSegment(bytes: Buffer, segmentId: string): SegmentReading {
  const seed = frameSeed(segmentId);
  const found = new Findings(bytes, segmentId);
  let offset = 0;
  let brokenBytes = 0;
  let group = 0;
  while (!found.sealed && found.foreignVersion === undefined) {
    const frame = readFrame(bytes, offset, seed);
    if (frame !== null && found.take(frame, offset)) {
      offset = frame.end;
      continue;
    }
    if (found.foreignVersion !== undefined) break;
    if (group <= offset) group = findGroup(bytes, offset + 1, seed);
    if (group < 0) break;
    const next = frameBehind(bytes, offset, seed, group);
    brokenBytes += next - offset;
    offset = next;
  }
  return {
    opened: found.durable !== undefined,
    foreignVersion: found.foreignVersion,
    sealed: found.sealed,
    durable: found.durable ?? emptySnapshot,
    producers: found.producers,
    requests: found.requests,
    eventCount: found.eventCount,
    brokenBytes,
    soundBytes: offset,
    unreadBytes: bytes.length - offset,
  };
}

/** Behind a broken frame: the one that follows by its length, if that is sound; else the next group. */
function frameBehind(bytes: Buffer, offset: number, seed: number, group: number): number {
  const end = offset + frameHeaderBytes + bytes.readUInt32LE(offset);
  return end < group && readFrame(bytes, end, seed) !== null ? end : group;
}

class Findings {
  durable: DurableSnapshot | undefined;
  foreignVersion: string | undefined;
  sealed = false;
  readonly producers: SegmentProducer[] = [];
  readonly requests: RequestRecord[] = [];
  eventCount = 0;
  readonly #bytes: Buffer;
  readonly #segmentId: string;
  /** From the index in the file to the place in `producers`; they differ only behind damage. */
  readonly #places = new Map<number, number>();
  #durableAt = -1;

  constructor(bytes: Buffer, segmentId: string) {
    this.#bytes = bytes;
    this.#segmentId = segmentId;
  }

  /** False for what cannot stand here, which is then treated as if its checksum were wrong. */
  take({ type, start, end }: Frame, offset: number): boolean {
    const bytes = this.#bytes;
    switch (type) {
      case frameType.segment: {
        const version = segmentVersion(bytes.subarray(start, end), this.#segmentId);
        if (offset !== 0 || version === undefined) return false;
        if (!isReadableVersion(version)) {
          this.foreignVersion = version;
          return false;
        }
        this.#durableAt = end;
        return true;
      }
      case frameType.durable:
        // Also behind a broken first frame: the checksum says that it is this segment's, and where it belongs.
        if (this.durable !== undefined || (this.#durableAt >= 0 && offset !== this.#durableAt)) return false;
        this.durable = decodeDurablePayload(bytes.subarray(start, end));
        return this.durable !== undefined;
      case frameType.producer:
        return this.#takeProducer(bytes.subarray(start, end));
      case frameType.request:
        return this.#takeRequest(start, end);
      case frameType.group:
        return isGroupAt(bytes, { type, start, end }, offset);
      case frameType.seal:
        this.sealed = end - start === 8;
        return this.sealed;
      default:
        return false;
    }
  }

  #takeProducer(payload: Buffer): boolean {
    const producer = decodeProducerFrame(payload);
    if (producer === undefined) return false;
    this.#places.set(producer.index, this.producers.length);
    this.producers.push({ identity: producer.identity, baseSequence: producer.baseSequence });
    return true;
  }

  #takeRequest(start: number, end: number): boolean {
    const request = decodeRequest(this.#bytes, start, end);
    if (request === undefined) return false;
    const place = this.#places.get(request.producerIndex);
    // Its producer's frame is broken, so nobody knows whose it is.
    if (place === undefined) return false;
    this.requests.push(place === request.producerIndex ? request : { ...request, producerIndex: place });
    this.eventCount += request.eventCount;
    return true;
  }
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
    producers: reading.producers.map(({ identity }) => decode(identity.subarray(16))),
    requests: reading.requests,
    eventCount: reading.eventCount,
  };
}
