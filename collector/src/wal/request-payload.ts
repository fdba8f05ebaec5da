/** Payload of a request frame: a head that replay needs, then the request as it was received. */
import type { Rejection, RequestRecord } from '../record.js';

export interface RequestHead {
  readonly receivedUnixMs: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly eventCount: number;
  readonly lossCount: number;
  /** Losses and rejections: rows of the ledger. Bounds a segment; not written. */
  readonly ledgerRows: number;
  /** Beyond the request's bytes, what it takes while it is encoded. Bounds a segment; not written. */
  readonly expansionBytes: number;
  readonly rejections: readonly Rejection[];
}

const fixedBytes = 40;

/** The longest detail of a rejection that is kept, in UTF-16 units; three bytes each at most. */
const detailUnits = 1000;

/** Upper bound of the head's bytes. */
export function requestHeadBytes(head: RequestHead): number {
  let bytes = fixedBytes;
  for (const { detail } of head.rejections) bytes += 11 + 3 * Math.min(detail.length, detailUnits);
  return bytes;
}

export function encodeRequestHead(producerIndex: number, head: RequestHead): Buffer {
  const details = head.rejections.map((rejection) => Buffer.from(rejection.detail.slice(0, detailUnits)));
  let bytes = fixedBytes;
  for (const detail of details) bytes += 11 + detail.length;
  const payload = Buffer.allocUnsafe(bytes);
  payload.writeUInt32LE(producerIndex, 0);
  payload.writeBigUInt64LE(BigInt(head.receivedUnixMs), 4);
  payload.writeBigUInt64LE(BigInt(head.firstSequence), 12);
  payload.writeBigUInt64LE(BigInt(head.lastSequence), 20);
  payload.writeUInt32LE(head.eventCount, 28);
  // Lost numbers may exceed 32 bits; the range tells them, this only says whether to look for losses.
  payload.writeUInt32LE(Math.min(head.lossCount, 0xffffffff), 32);
  payload.writeUInt32LE(head.rejections.length, 36);
  let offset = fixedBytes;
  for (const [index, rejection] of head.rejections.entries()) {
    const detail = details[index] as Buffer;
    payload.writeBigUInt64LE(BigInt(rejection.sequence), offset);
    payload[offset + 8] = rejection.reason;
    payload.writeUInt16LE(detail.length, offset + 9);
    detail.copy(payload, offset + 11);
    offset += 11 + detail.length;
  }
  return payload;
}

/**
 * The record in the frame payload between `start` and `end`, whose checksum has been checked; undefined
 * if it has no room for what it says is in it.
 */
export function decodeRequest(bytes: Buffer, start: number, end: number): RequestRecord | undefined {
  if (end - start < fixedBytes) return undefined;
  const rejectionCount = bytes.readUInt32LE(start + 36);
  const rejections: Rejection[] = [];
  let offset = start + fixedBytes;
  for (let index = 0; index < rejectionCount; index++) {
    if (offset + 11 > end) return undefined;
    const detailBytes = bytes.readUInt16LE(offset + 9);
    if (offset + 11 + detailBytes > end) return undefined;
    rejections.push({
      sequence: Number(bytes.readBigUInt64LE(offset)),
      reason: bytes[offset + 8] as number,
      detail: bytes.toString('utf8', offset + 11, offset + 11 + detailBytes),
    });
    offset += 11 + detailBytes;
  }
  return {
    producerIndex: bytes.readUInt32LE(start),
    receivedUnixMs: Number(bytes.readBigUInt64LE(start + 4)),
    firstSequence: Number(bytes.readBigUInt64LE(start + 12)),
    lastSequence: Number(bytes.readBigUInt64LE(start + 20)),
    eventCount: bytes.readUInt32LE(start + 28),
    lossCount: bytes.readUInt32LE(start + 32),
    rejections,
    start: offset,
    end,
  };
}
