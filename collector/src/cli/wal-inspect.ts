/**
 * `sluice wal inspect`: what a write-ahead log holds and what a start would do with it. Reads only: it
 * works beside a running collector and on what a crash left behind.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Damage } from '../record.js';
import { formatUuid, uuidTimeMs } from '../uuid7.js';
import { decodeStoredProducer } from '../validate/decode-producer.js';
import { damageOf, type YoungerSegment } from '../wal/damage.js';
import { segmentFileName, segmentIdsOf } from '../wal/segment-name.js';
import { isWhole, readSegment, type SegmentProducer, type SegmentReading } from '../wal/segment-reader.js';
import { DirectoryStorage } from '../wal/storage.js';
import { logFolder, otherLogFolders } from '../workers/log-folders.js';
import { CommandFailure } from './failure.js';
import { renderTable, type TableColumn } from './table.js';

export interface WalInspectFlags {
  readonly json?: boolean;
}

interface ProducerRange {
  readonly producerId: string;
  readonly project: string;
  readonly runId: string;
  readonly rank: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly requests: number;
}

interface SegmentReport {
  readonly segment: string;
  readonly opened: string;
  readonly bytes: number;
  /**
   * `torn`: the youngest, which ends in bytes that were never acknowledged. `damaged`: bytes that were durable
   * cannot be read. `unreadable`: not even its first frames can. `foreign`: of another version.
   */
  readonly state: 'sealed' | 'open' | 'torn' | 'damaged' | 'unreadable' | 'foreign' | 'empty';
  readonly unreadBytes: number;
  readonly requests: number;
  readonly events: number;
  readonly rejections: number;
  readonly nextStart: string;
  readonly producers: readonly ProducerRange[];
  /** Of a damaged segment: what is wrong, and the acknowledged numbers that are gone, if a younger one tells. */
  readonly problem?: string;
  readonly lost?: readonly LostRange[];
}

interface LostRange {
  readonly producerId: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

const segmentColumns: readonly TableColumn[] = [
  { title: 'segment' },
  { title: 'opened (UTC)' },
  { title: 'state' },
  { title: 'bytes', align: 'right' },
  { title: 'unread', align: 'right' },
  { title: 'requests', align: 'right' },
  { title: 'events', align: 'right' },
  { title: 'rejected', align: 'right' },
  { title: 'the next start' },
];

const producerColumns: readonly TableColumn[] = [
  { title: 'segment' },
  { title: 'producer' },
  { title: 'project' },
  { title: 'run' },
  { title: 'rank', align: 'right' },
  { title: 'sequences', align: 'right' },
  { title: 'requests', align: 'right' },
];

const lostColumns: readonly TableColumn[] = [
  { title: 'damaged segment' },
  { title: 'producer' },
  { title: 'lost', align: 'right' },
  { title: 'problem' },
];

export async function walInspect(directory: string, flags: WalInspectFlags): Promise<void> {
  const folders = logFoldersIn(directory);
  if (!folders.every((folder) => existsSync(folder))) {
    throw new CommandFailure(
      `sluice: there is no folder ${directory}; give the data directory of a collector, or the wal folder in it`,
    );
  }
  for (const folder of folders) {
    const reports = await inspect(folder);
    if (flags.json === true) {
      const log = folders.length > 1 ? { log: basename(folder) } : {};
      process.stdout.write(reports.map((report) => `${JSON.stringify({ ...log, ...report })}\n`).join(''));
      continue;
    }
    const title = folders.length > 1 ? `${folder === folders[0] ? '' : '\n'}${folder}\n` : '';
    process.stdout.write(title + render(folder, reports));
  }
}

/** A data directory's logs, one for each worker, or the folder itself. */
function logFoldersIn(directory: string): string[] {
  const folders = [logFolder(directory, 0), ...otherLogFolders(directory)].filter((folder) =>
    existsSync(folder),
  );
  return folders.length > 0 ? folders : [directory];
}

async function inspect(folder: string): Promise<SegmentReport[]> {
  const storage = new DirectoryStorage(folder);
  const reports: SegmentReport[] = [];
  // One segment in memory at a time: a log may hold gigabytes. From the youngest on, because each tells of
  // the one before it.
  let younger: YoungerSegment[] = [];
  for (const id of segmentIdsOf(await storage.list()).reverse()) {
    const bytes = await storage.read(segmentFileName(id));
    const { report, durable } = describe(id, bytes, younger);
    reports.unshift(report);
    const start = { id, durable };
    younger = durable === undefined ? [start, ...younger] : [start];
  }
  return reports;
}

/**
 * What one segment's file holds. Pure.
 *
 * @param younger the files behind it, oldest first, up to the first with sound first frames
 */
export function describeSegment(
  id: string,
  bytes: Buffer,
  younger: readonly YoungerSegment[] = [],
): SegmentReport {
  return describe(id, bytes, younger).report;
}

function describe(
  id: string,
  bytes: Buffer,
  younger: readonly YoungerSegment[],
): { report: SegmentReport; durable: YoungerSegment['durable'] } {
  const reading = readSegment(bytes, id);
  const isYoungest = younger.length === 0;
  const damage =
    isYoungest || isWhole(reading) || reading.foreignVersion !== undefined
      ? undefined
      : damageOf(id, reading, younger);
  const state = stateOf(reading, isYoungest, damage);
  const report = {
    segment: id,
    opened: new Date(uuidTimeMs(id)).toISOString(),
    bytes: bytes.length,
    state,
    unreadBytes: reading.brokenBytes + reading.unreadBytes,
    requests: reading.requests.length,
    events: reading.eventCount,
    rejections: reading.requests.reduce((sum, { rejections }) => sum + rejections.length, 0),
    nextStart: nextStart(state, reading),
    producers: producerRanges(reading),
    ...(damage && { problem: damage.problem, lost: lostRanges(damage) }),
  };
  return { report, durable: reading.opened ? reading.durable : undefined };
}

function lostRanges({ ranges }: Damage): LostRange[] {
  return ranges.map(({ producerId, firstSequence, lastSequence }) => ({
    producerId: formatUuid(producerId),
    firstSequence,
    lastSequence,
  }));
}

function stateOf(
  reading: SegmentReading,
  isYoungest: boolean,
  damage: Damage | undefined,
): SegmentReport['state'] {
  if (reading.foreignVersion !== undefined) return 'foreign';
  if (!reading.opened) return 'unreadable';
  if (isWhole(reading)) return 'sealed';
  if (reading.brokenBytes > 0) return 'damaged';
  if (!isYoungest) return damage === undefined ? 'empty' : 'damaged';
  return reading.unreadBytes === 0 ? 'open' : 'torn';
}

function nextStart(state: SegmentReport['state'], { requests }: SegmentReading): string {
  switch (state) {
    case 'foreign':
      return 'refuses to start';
    case 'unreadable':
    case 'damaged':
      return `${requests.length === 0 ? 'reports' : 'inserts what can be read, reports'} the rest, keeps the file aside`;
    case 'empty':
      return 'removes it';
    default: {
      const tail = state === 'torn' ? 'cuts the tail, ' : '';
      return `${tail}${requests.length === 0 ? 'removes it' : 'inserts it unless it is committed'}`;
    }
  }
}

function producerRanges(reading: SegmentReading): ProducerRange[] {
  const ranges = new Map<number, { first: number; last: number; requests: number }>();
  for (const { producerIndex, firstSequence, lastSequence } of reading.requests) {
    const range = ranges.get(producerIndex);
    if (range === undefined) {
      ranges.set(producerIndex, { first: firstSequence, last: lastSequence, requests: 1 });
    } else {
      range.last = lastSequence;
      range.requests++;
    }
  }
  return [...ranges].map(([index, { first, last, requests }]) => {
    // A producer's frame is its id, then the encoded `Producer`.
    const frame = (reading.producers[index] as SegmentProducer).identity;
    const { project, runId, rank } = decodeStoredProducer(frame.subarray(16));
    return {
      producerId: formatUuid(frame.subarray(0, 16)),
      project,
      runId,
      rank,
      firstSequence: first,
      lastSequence: last,
      requests,
    };
  });
}

function render(folder: string, reports: readonly SegmentReport[]): string {
  if (reports.length === 0) return `${folder} holds no segments.\n`;
  const segments = renderTable(
    segmentColumns,
    reports.map((report) => [
      report.segment,
      report.opened.slice(0, 19).replace('T', ' '),
      report.state,
      String(report.bytes),
      String(report.unreadBytes),
      String(report.requests),
      String(report.events),
      String(report.rejections),
      report.nextStart,
    ]),
  );
  const ranges = reports.flatMap(({ segment, producers }) =>
    producers.map((range) => [
      segment,
      range.producerId,
      range.project,
      range.runId,
      String(range.rank),
      `${range.firstSequence}-${range.lastSequence}`,
      String(range.requests),
    ]),
  );
  const lost = reports.flatMap(({ segment, problem, lost: gone = [] }) => {
    if (problem === undefined) return [];
    if (gone.length === 0) return [[segment, '', '', problem]];
    return gone.map(({ producerId, firstSequence, lastSequence }) => [
      segment,
      producerId,
      `${firstSequence}-${lastSequence}`,
      problem,
    ]);
  });
  return [
    segments,
    ...(ranges.length === 0 ? [] : [renderTable(producerColumns, ranges)]),
    ...(lost.length === 0 ? [] : [renderTable(lostColumns, lost)]),
  ].join('\n');
}
