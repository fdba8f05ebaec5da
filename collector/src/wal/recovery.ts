/**
 * Reads what an earlier process left behind, and finishes it.
 *
 * Invariants:
 * 1. Nothing of the youngest file counts before all of it is written again and synced: the process that
 *    wrote it may have died between its write and its fsync, or after an fsync that failed. After that the page
 *    cache shows bytes that are not on the disk, and says of them that they are.
 * 2. A torn tail was never acknowledged: it is cut off, and its segment sealed, before a younger one is
 *    opened. So every segment but the open one ends with its seal, and one that does not is damaged.
 * 3. A damaged segment is left as it is. What it held is told by the one that is opened behind it, whose
 *    durable sequences count all that can be read here, so that nobody sends that again.
 * 4. The youngest segment with sound first frames holds all durable sequences: those at its start, and
 *    those of the requests in it and in the damaged ones behind it. Older ones need not be read for them.
 * 5. Nothing is changed here but the youngest file, so a start that fails can be tried again.
 */
import { SluiceError } from '../errors.js';
import { uuidTimeMs } from '../uuid7.js';
import {
  type DurableEntry,
  type DurableSnapshot,
  emptySnapshot,
  encodeFrameHeader,
  encodeGroupPayload,
  encodeSealPayload,
  frameHeaderBytes,
  frameSeed,
  frameType,
} from './frame.js';
import type { LogNotices, SealedSegment } from './log.js';
import { isNewSegmentFileName, segmentFileName, segmentIdsOf } from './segment-name.js';
import { readSegment, type SegmentReading } from './segment-reader.js';
import { damagedFolder, type LogStorage, type SegmentFile } from './storage.js';

export { damagedFolder };

export interface Recovery {
  /** What the next segment starts with. */
  readonly durable: DurableSnapshot;
  /** To be committed, oldest first; without the one that is unfinished. */
  readonly segments: readonly SealedSegment[];
  /** The youngest, if it holds something: to be committed once it is finished. */
  readonly unfinished: UnfinishedSegment | undefined;
  /** Names of files that hold nothing; to be removed once a younger segment exists. */
  readonly leftovers: readonly string[];
  /** New ids must lie above this one. */
  readonly youngestId: string | undefined;
  /** The segment that the durable sequences were read from; it and all younger ones must stay until a new one is open. */
  readonly carrierId: string;
}

export interface UnfinishedSegment {
  readonly id: string;
  readonly bytes: Buffer;
  readonly reading: SegmentReading;
  readonly damage: string | undefined;
}

/** ClickHouse's Date reaches to 2149; a file whose name says later, without sound first frames, is none of ours. */
const latestMs = Date.UTC(2149, 0, 1);

export async function recoverLog(storage: LogStorage, log: LogNotices): Promise<Recovery> {
  const names = await storage.list();
  const leftovers = names.filter(isNewSegmentFileName);
  const segments: SealedSegment[] = [];
  /** Youngest last: damaged at their start, so that the durable sequences lie in an older one. */
  const headless: { id: string; reading: SegmentReading }[] = [];
  let unfinished: UnfinishedSegment | undefined;
  let youngestId: string | undefined;
  let durable: DurableSnapshot | undefined;
  let carrierId = '';
  for (const id of segmentIdsOf(names).reverse()) {
    const name = segmentFileName(id);
    if (durable !== undefined) {
      // Sealed before the younger one was opened, so it is whole; it is read when it is committed.
      segments.unshift({ id, bytes: await storage.sizeBytes(name), recovered: true });
      continue;
    }
    const bytes = await storage.read(name);
    const reading = readSegment(bytes, id);
    if (reading.foreignVersion !== undefined) throw foreign(id, reading.foreignVersion);
    if (!reading.opened && uuidTimeMs(id) > latestMs) {
      log.warn({ file: name }, 'a file is named like a segment but is none; it is left where it is');
      continue;
    }
    if (reading.opened) carrierId = id;
    const isYoungest = youngestId === undefined;
    youngestId ??= id;
    const damage = isYoungest ? suspicionOf(reading, bytes) : undefined;
    if (isYoungest && isEmpty(reading) && damage === undefined) {
      if (reading.unreadBytes > 0) log.warn(noticeOf(id, reading), tornTail);
      leftovers.push(name);
      durable = reading.durable;
      continue;
    }
    if (isDamaged(reading)) {
      log.warn(
        noticeOf(id, reading),
        'a segment is damaged: what can be read of it is stored, and its file is kept aside',
      );
    } else if (reading.unreadBytes > 0 && !reading.sealed) log.warn(noticeOf(id, reading), tornTail);
    if (isYoungest) unfinished = { id, bytes, reading, damage };
    else segments.unshift({ id, bytes: bytes.length, recovered: true });
    if (reading.opened) durable = durableAfter(reading.durable, id, reading);
    else headless.unshift({ id, reading });
  }
  durable ??= emptySnapshot;
  for (const { id, reading } of headless) durable = durableAfter(durable, id, reading);
  return { durable, segments, unfinished, leftovers, youngestId, carrierId };
}

const tornTail = 'the last segment ends in bytes that were never acknowledged; they are cut off';

function noticeOf(segment: string, reading: SegmentReading): object {
  const { requests, brokenBytes, unreadBytes } = reading;
  return { segment, requests: requests.length, brokenBytes, unreadBytes };
}

function foreign(id: string, version: string): SluiceError {
  return new SluiceError(
    'log_corrupt',
    `segment ${id} has version ${version} of the log's format, this Sluice reads version 2; let the Sluice that wrote it empty the log first, or move the folder wal away`,
  );
}

function isEmpty({ opened, sealed, requests, brokenBytes }: SegmentReading): boolean {
  return opened && !sealed && requests.length === 0 && brokenBytes === 0;
}

/** Whether the youngest segment lacks bytes that were synced once. */
export function isDamaged({ opened, brokenBytes }: SegmentReading): boolean {
  return !opened || brokenBytes > 0;
}

/**
 * What is odd about the tail of the youngest segment. A killed process and most file systems cut it
 * short, or leave zeros; other bytes are a write that a power loss tore in the middle, or damage.
 */
export function suspicionOf(reading: SegmentReading, bytes: Buffer): string | undefined {
  if (isDamaged(reading) || reading.sealed || reading.unreadBytes === 0) return undefined;
  const tail = bytes.subarray(reading.soundBytes);
  const isCutShort = tail.length < frameHeaderBytes || frameHeaderBytes + tail.readUInt32LE(0) > tail.length;
  if (isCutShort || tail.every((byte) => byte === 0)) return undefined;
  return `its last ${tail.length} bytes do not pass their checksums: a write that a power loss tore and nobody was told of, or damage`;
}

/**
 * Makes sure that the youngest segment is on the disk and, unless it is damaged, that it ends with its
 * seal. All of it is written again, the same bytes in the same places: after a sync that failed, in an
 * earlier process or in an earlier try here, the page cache shows what the disk does not have, and a
 * later sync does not write it. A crash in between leaves what was there before, or a torn tail again.
 */
export async function finishSegment(
  storage: LogStorage,
  { id, bytes, reading, damage }: UnfinishedSegment,
  log: LogNotices,
): Promise<SealedSegment> {
  const name = segmentFileName(id);
  if (damage !== undefined) {
    // The bytes are cut off below. A full disk must not keep the log from starting for their sake.
    await storage.copyAside(name, damagedFolder).catch((err: unknown) => {
      log.warn({ err, segment: id }, 'no copy of a segment with a strange tail could be kept');
    });
  }
  const { soundBytes } = reading;
  const isLeft = reading.sealed || isDamaged(reading);
  const tail = isLeft ? Buffer.alloc(0) : sealGroup(id, reading);
  const file = await storage.reopen(name);
  try {
    if (!isLeft) await file.truncate(soundBytes);
    await writeAll(file, isLeft ? bytes : Buffer.concat([bytes.subarray(0, soundBytes), tail]), 0);
    await file.sync();
  } finally {
    await file.close();
  }
  const size = isLeft ? bytes.length : soundBytes + tail.length;
  return { id, bytes: size, recovered: true, ...(damage !== undefined && { damage }) };
}

function sealGroup(id: string, { soundBytes, requests, eventCount }: SegmentReading): Buffer {
  const seed = frameSeed(id);
  const group = encodeGroupPayload(soundBytes);
  const groupHeader = encodeFrameHeader(frameType.group, { seed, offset: soundBytes }, [group]);
  const offset = soundBytes + groupHeader.length + group.length;
  const seal = encodeSealPayload(requests.length, eventCount);
  return Buffer.concat([
    groupHeader,
    group,
    encodeFrameHeader(frameType.seal, { seed, offset }, [seal]),
    seal,
  ]);
}

async function writeAll(file: SegmentFile, bytes: Buffer, start: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const written = await file.write([bytes.subarray(done)], start + done);
    if (written <= 0) throw new Error('a write to the last segment wrote nothing');
    done += written;
  }
}

/** The snapshot for the segment behind one that started with `durable`, or should have. */
export function durableAfter(durable: DurableSnapshot, id: string, reading: SegmentReading): DurableSnapshot {
  const { logTimeMs } = durable;
  const entries = new Map<string, DurableEntry>();
  for (const entry of durable.entries) {
    entries.set(entry.key, { ...entry, previousSequence: entry.sequence });
  }
  const bases = new Set<string>();
  for (const request of reading.requests) {
    const producer = reading.producers[request.producerIndex];
    if (producer === undefined) continue;
    const key = producer.identity.toString('latin1', 0, 16);
    const known = entries.get(key);
    let previousSequence = known?.previousSequence ?? producer.baseSequence;
    if (!bases.has(key)) {
      bases.add(key);
      // The segment itself knows best where the producer stood: what an older one lost lies before it.
      previousSequence = Math.max(previousSequence, producer.baseSequence);
    }
    const sequence = Math.max(known?.sequence ?? 0, request.lastSequence);
    const hasJumped =
      known !== undefined && (known.hasJumped || producer.baseSequence > known.sequence) ? true : undefined;
    entries.set(key, {
      key,
      sequence,
      previousSequence,
      lastSeenMs: logTimeMs,
      ...(hasJumped && { hasJumped }),
    });
  }
  return { logTimeMs, previousId: id, entries: [...entries.values()] };
}
