/**
 * Reads what an earlier process left behind, and finishes it.
 *
 * Invariants:
 * 1. Nothing that is read here counts before it is synced: the process that wrote it may have died
 *    between its write and its fsync, and what only the page cache holds can still be lost.
 * 2. A torn tail was never acknowledged: it is cut off, and its segment sealed, before a younger one is
 *    opened. So every segment but the open one ends with its seal, and one that does not is damaged.
 * 3. The youngest segment that was opened in full holds all durable sequences: those at its start,
 *    and those of its own requests. Older segments need not be read for them.
 */
import {
  type DurableEntry,
  type DurableSnapshot,
  encodeFrameHeader,
  encodeSealPayload,
  frameSeed,
  frameType,
} from './frame.js';
import type { LogNotices, SealedSegment } from './log.js';
import { segmentFileName, segmentIdsOf } from './segment-name.js';
import { hasFrameBehind, readSegment, type SegmentReading } from './segment-reader.js';
import type { LogStorage, SegmentFile } from './storage.js';

/** Where segments go that cannot be read in full. */
export const damagedFolder = 'damaged';

export interface Recovery {
  readonly durable: DurableSnapshot;
  /** To be committed, oldest first. */
  readonly segments: readonly SealedSegment[];
  /** Hold no request; to be removed once a younger segment exists. */
  readonly emptySegmentIds: readonly string[];
  /** Without sound first frames: a crash during creation, or damage. Kept, out of the way. */
  readonly unreadableSegmentIds: readonly string[];
}

export async function recoverLog(storage: LogStorage, log: LogNotices): Promise<Recovery> {
  const ids = segmentIdsOf(await storage.list());
  for (const id of ids) await storage.syncFile(segmentFileName(id));
  await storage.syncDirectory();

  const segments: SealedSegment[] = [];
  const emptySegmentIds: string[] = [];
  const unreadableSegmentIds: string[] = [];
  let durable: DurableSnapshot = { logTimeMs: 0, entries: [] };
  let foundDurable = false;
  for (const id of ids.toReversed()) {
    if (foundDurable) {
      // Sealed before the younger one was opened, so it is whole; it is read when it is committed.
      const bytes = await storage.sizeBytes(segmentFileName(id));
      segments.unshift({ id, bytes, recovered: true });
      continue;
    }
    const bytes = await storage.read(segmentFileName(id));
    const reading = readSegment(bytes, id);
    if (reading.opened) {
      foundDurable = true;
      durable = durableAfter(reading);
    }
    if (!reading.opened && bytes.length > 0) {
      log.warn(
        { segment: id, bytes: bytes.length },
        'a segment has no sound first frames; it is set aside unread',
      );
      unreadableSegmentIds.unshift(id);
      continue;
    }
    if (reading.unreadBytes > 0) {
      const fields = { segment: id, unreadBytes: reading.unreadBytes, requests: reading.requests.length };
      if (hasFrameBehind(bytes, reading.soundBytes, id)) {
        await storage.copyAside(segmentFileName(id), damagedFolder);
        log.warn(
          { ...fields, folder: damagedFolder },
          'the last segment is damaged in the middle: what lies before is stored, a copy of the file is kept aside',
        );
      } else {
        log.warn(fields, 'the last segment ends in bytes that were never acknowledged; they are cut off');
      }
    }
    if (reading.requests.length === 0) {
      emptySegmentIds.unshift(id);
      continue;
    }
    const size = reading.sealed ? bytes.length : await sealTorn(storage, id, reading);
    segments.unshift({ id, bytes: size, recovered: true });
  }
  return { durable, segments, emptySegmentIds, unreadableSegmentIds };
}

/** Cuts the torn tail off and adds the seal. A crash in between leaves a torn tail again. */
async function sealTorn(storage: LogStorage, id: string, reading: SegmentReading): Promise<number> {
  const payload = encodeSealPayload(reading.requests.length, reading.eventCount);
  const frame = Buffer.concat([encodeFrameHeader(frameType.seal, frameSeed(id), [payload]), payload]);
  const file = await storage.reopen(segmentFileName(id));
  try {
    await file.truncate(reading.soundBytes);
    await writeAll(file, frame, reading.soundBytes);
    await file.sync();
  } finally {
    await file.close();
  }
  return reading.soundBytes + frame.length;
}

async function writeAll(file: SegmentFile, bytes: Buffer, start: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const written = await file.write([bytes.subarray(done)], start + done);
    if (written <= 0) throw new Error('a write of the seal wrote nothing');
    done += written;
  }
}

/** The durable sequences at a segment's end. */
export function durableAfter(reading: SegmentReading): DurableSnapshot {
  const { logTimeMs } = reading.durable;
  const entries = new Map<string, DurableEntry>(reading.durable.entries.map((entry) => [entry.key, entry]));
  for (const request of reading.requests) {
    const encoded = reading.producers[request.producerIndex];
    if (encoded === undefined) continue;
    const key = producerKey(encoded);
    entries.set(key, { key, sequence: request.lastSequence, lastSeenMs: logTimeMs });
  }
  return { logTimeMs, entries: [...entries.values()] };
}

/** A segment's producer frames start with the id: 16 bytes, then the encoded `Producer`. */
function producerKey(frame: Buffer): string {
  return frame.toString('latin1', 0, 16);
}
