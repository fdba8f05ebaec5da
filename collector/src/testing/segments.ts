/** Builds a segment as the log would, from requests written with the reflective library. */
import type { LogRequest } from '@sluice/proto';
import { messageLimits } from '../limits.js';
import type { Producer, RequestRecord, SegmentContents } from '../record.js';
import { decodeProducer } from '../validate/decode-producer.js';
import { scanRequest } from '../validate/scan-request.js';
import { encodeRequest } from './wire.js';

export function makeSegment(
  id: string,
  requests: readonly LogRequest[],
  receivedUnixMs = 1_700_000_000_000,
): SegmentContents {
  const parts: Buffer[] = [];
  const records: RequestRecord[] = [];
  const producers: Producer[] = [];
  const indexes = new Map<string, number>();
  let offset = 0;
  let eventCount = 0;
  for (const request of requests) {
    const bytes = encodeRequest(request);
    const scan = scanRequest(bytes, messageLimits);
    if (scan.kind !== 'scanned') throw new Error(scan.problem);
    if (scan.producer === null) throw new Error('every request of a test segment names its producer');
    const key = scan.producer.toString('latin1');
    let producerIndex = indexes.get(key);
    if (producerIndex === undefined) {
      const decoded = decodeProducer(scan.producer, messageLimits);
      if (decoded.kind === 'invalid') throw new Error(decoded.problem);
      producerIndex = producers.push(decoded.producer) - 1;
      indexes.set(key, producerIndex);
    }
    records.push({
      producerIndex,
      receivedUnixMs,
      firstSequence: scan.firstSequence,
      lastSequence: scan.lastSequence,
      eventCount: scan.eventCount,
      lossCount: scan.lossCount,
      rejections: scan.rejections,
      start: offset,
      end: offset + bytes.length,
    });
    parts.push(bytes);
    offset += bytes.length;
    eventCount += scan.eventCount;
  }
  return { id, bytes: Buffer.concat(parts), producers, requests: records, eventCount };
}
