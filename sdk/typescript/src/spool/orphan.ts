import { join } from 'node:path';
import { internalLimits } from '../limits.js';
import type { SpoolFiles } from './files.js';
import { parseSegmentFileName, readSegment, type SegmentContent, segmentFileName } from './format.js';

/** One file of a producer whose process is gone. */
export interface OrphanSegment {
  readonly number: number;
  readonly path: string;
  /** The range of its requests; 0 if there are none. */
  readonly first: number;
  readonly last: number;
  readonly soundBytes: number;
  readonly isDamaged: boolean;
  /** Whether it ends in a write that never ended. */
  readonly isTorn: boolean;
}

/** What a producer's folder holds. */
export interface Orphan {
  readonly path: string;
  readonly producerId: Buffer;
  /** The producer field of a request; undefined if no file's header is sound. */
  readonly producer: Buffer | undefined;
  readonly segments: readonly OrphanSegment[];
  /** Up to here it was acknowledged before; 0 if that is not known. */
  readonly acknowledged: number;
  /** The next number to deliver, if it is known though no sound request begins with it; else 0. */
  readonly next: number;
  /** The last number in it; 0 if there is no request. */
  readonly last: number;
  /** Events that are not acknowledged. */
  readonly events: number;
  readonly bytes: number;
  /** One sentence for each stretch that is not sound. */
  readonly damages: readonly string[];
  /** Bytes of writes that never ended. */
  readonly tornBytes: number;
}

/** Reads a whole folder, one file at a time. Rejects if a file cannot be read. */
export async function inspectOrphan(files: SpoolFiles, path: string, producerId: Buffer): Promise<Orphan> {
  const segments: (OrphanSegment & { readonly events: number })[] = [];
  const damages: string[] = [];
  let producer: Buffer | undefined;
  let acknowledged = 0;
  let tornBytes = 0;
  let bytes = 0;
  for (const number of await segmentNumbers(files, path)) {
    const file = join(path, segmentFileName(number));
    const size = await files.size(file);
    bytes += size;
    const content =
      size > internalLimits.spoolReadBytes
        ? unread(size)
        : readSegment(await files.read(file), { producerId, segment: number });
    producer ??= content.producer && Buffer.from(content.producer);
    acknowledged = Math.max(acknowledged, content.acknowledged);
    const found = describe(segmentFileName(number), content);
    damages.push(...found);
    if (content.tail === 'torn') tornBytes += content.tailBytes;
    segments.push({
      number,
      path: file,
      first: content.requests[0]?.first ?? 0,
      last: content.requests.reduce((last, request) => Math.max(last, request.last), 0),
      events: content.requests.reduce((sum, { events }) => sum + events, 0),
      soundBytes: content.soundBytes,
      isDamaged: found.length > 0,
      isTorn: content.tail === 'torn',
    });
  }
  let events = 0;
  for (const segment of segments) {
    if (segment.last <= acknowledged) continue;
    events +=
      segment.first > acknowledged
        ? segment.events
        : await eventsBehind(files, segment, producerId, acknowledged);
  }
  const [oldest] = segments;
  // A producer begins with 1. Without damage, what is missing in front was acknowledged before it was written.
  const isCutInFront = oldest?.number === 1 && oldest.isDamaged;
  return {
    path,
    producerId,
    producer,
    segments,
    acknowledged,
    next: acknowledged > 0 ? acknowledged + 1 : isCutInFront ? 1 : 0,
    last: segments.reduce((last, segment) => Math.max(last, segment.last), 0),
    events,
    bytes,
    damages,
    tornBytes,
  };
}

async function segmentNumbers(files: SpoolFiles, path: string): Promise<number[]> {
  const numbers = (await files.list(path)).map(parseSegmentFileName);
  return numbers.filter((number) => number !== undefined).sort((a, b) => a - b);
}

async function eventsBehind(
  files: SpoolFiles,
  { path, number }: OrphanSegment,
  producerId: Buffer,
  acknowledged: number,
): Promise<number> {
  const { requests } = readSegment(await files.read(path), { producerId, segment: number });
  return requests.reduce((sum, { last, events }) => (last > acknowledged ? sum + events : sum), 0);
}

function unread(size: number): SegmentContent {
  const damaged = [{ offset: 0, bytes: size }];
  return {
    producer: undefined,
    requests: [],
    acknowledged: 0,
    damaged,
    soundBytes: size,
    tailBytes: 0,
    tail: 'none',
  };
}

function describe(
  name: string,
  { damaged, tail, tailBytes, soundBytes, producer }: SegmentContent,
): string[] {
  const found = damaged.map(({ offset, bytes }) => `${name}: ${bytes} bytes at offset ${offset} are damaged`);
  if (tail === 'damaged') found.push(`${name}: ${tailBytes} bytes at offset ${soundBytes} are damaged`);
  if (producer === undefined && soundBytes > 0 && found.length === 0)
    found.push(`${name}: its header is not known here`);
  return found;
}
