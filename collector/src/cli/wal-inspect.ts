/**
 * `sluice wal inspect`: what a write-ahead log holds and what a start would do with it. Reads only: it
 * works beside a running collector and on what a crash left behind.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { formatUuid, uuidTimeMs } from '../uuid7.js';
import { decodeStoredProducer } from '../validate/decode-producer.js';
import { segmentFileName, segmentIdsOf } from '../wal/segment-name.js';
import { hasFrameBehind, readSegment, type SegmentReading } from '../wal/segment-reader.js';
import { DirectoryStorage } from '../wal/storage.js';
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
  /** `torn`: it ends in bytes that were never acknowledged. `damaged`: sound frames lie behind a broken one. */
  readonly state: 'sealed' | 'open' | 'torn' | 'damaged' | 'unreadable';
  readonly unreadBytes: number;
  readonly requests: number;
  readonly events: number;
  readonly rejections: number;
  readonly nextStart: string;
  readonly producers: readonly ProducerRange[];
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

export async function walInspect(directory: string, flags: WalInspectFlags): Promise<void> {
  const folder = existsSync(join(directory, 'wal')) ? join(directory, 'wal') : directory;
  if (!existsSync(folder)) {
    throw new CommandFailure(
      `sluice: there is no folder ${directory}; give the data directory of a collector, or the wal folder in it`,
    );
  }
  const storage = new DirectoryStorage(folder);
  const reports: SegmentReport[] = [];
  // One segment in memory at a time: a log may hold gigabytes.
  for (const id of segmentIdsOf(await storage.list())) {
    const bytes = await storage.read(segmentFileName(id));
    const report = describeSegment(id, bytes);
    if (flags.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
    else reports.push(report);
  }
  if (flags.json !== true) process.stdout.write(render(folder, reports));
}

/** What one segment's file holds. Pure. */
export function describeSegment(id: string, bytes: Buffer): SegmentReport {
  const reading = readSegment(bytes, id);
  const state = stateOf(reading, id, bytes);
  return {
    segment: id,
    opened: new Date(uuidTimeMs(id)).toISOString(),
    bytes: bytes.length,
    state,
    unreadBytes: reading.unreadBytes,
    requests: reading.requests.length,
    events: reading.eventCount,
    rejections: reading.requests.reduce((sum, { rejections }) => sum + rejections.length, 0),
    nextStart: nextStart(state, reading),
    producers: producerRanges(reading),
  };
}

function stateOf(reading: SegmentReading, id: string, bytes: Buffer): SegmentReport['state'] {
  if (!reading.opened) return 'unreadable';
  if (reading.sealed) return 'sealed';
  if (reading.unreadBytes === 0) return 'open';
  return hasFrameBehind(bytes, reading.soundBytes, id) ? 'damaged' : 'torn';
}

function nextStart(state: SegmentReport['state'], reading: SegmentReading): string {
  if (state === 'unreadable') return 'sets the file aside';
  const tail = state === 'torn' ? 'cuts the tail, ' : state === 'damaged' ? 'keeps a copy aside, ' : '';
  return `${tail}${reading.requests.length === 0 ? 'removes it' : 'inserts it unless it is committed'}`;
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
    const frame = reading.producers[index] as Buffer;
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
  return ranges.length === 0 ? segments : `${segments}\n${renderTable(producerColumns, ranges)}`;
}
