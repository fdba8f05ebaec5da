/**
 * Makes the Native blocks of segments again, byte for byte as the collector sent them, one file a batch.
 * A segment's copy is removed once its file is there: a long run would need the disk twice.
 */
import { readFileSync, rmSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SegmentEncoder } from '@sluice/collector/encode/encode-segment.js';
import { messageLimits } from '@sluice/collector/limits.js';
import type { Producer } from '@sluice/collector/record.js';
import { decodeProducer } from '@sluice/collector/validate/decode-producer.js';
import { segmentFileName } from '@sluice/collector/wal/segment-name.js';
import { readSegment, segmentContents } from '@sluice/collector/wal/segment-reader.js';

export interface NativeFile {
  readonly path: string;
  readonly rows: number;
}

export async function writeNativeFiles(options: {
  segmentDirectory: string;
  batchIds: readonly string[];
  directory: string;
}): Promise<NativeFile[]> {
  await mkdir(options.directory, { recursive: true });
  const encoder = new SegmentEncoder();
  const files: NativeFile[] = [];
  for (const id of options.batchIds) {
    const copy = join(options.segmentDirectory, segmentFileName(id));
    const bytes = readCopy(copy, id);
    const reading = readSegment(bytes, id);
    if (!reading.sealed) throw new Error(`the copy of segment ${id} has no seal`);
    const block = encoder.encode(segmentContents(reading, id, bytes, decode));
    const path = join(options.directory, `${id}.native`);
    const file = await open(path, 'w');
    try {
      await file.writev([...block.chunks]);
      const { size } = await file.stat();
      if (size !== block.bytes)
        throw new Error(`${path} has ${size} of ${block.bytes} bytes: is the disk full?`);
    } finally {
      await file.close();
    }
    files.push({ path, rows: block.rows });
    rmSync(copy);
  }
  return files;
}

function readCopy(path: string, id: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Error(`no copy was made of segment ${id} while it existed; run the bench again`, { cause });
  }
}

function decode(encoded: Buffer): Producer {
  const decoded = decodeProducer(encoded, messageLimits);
  if (decoded.kind === 'invalid')
    throw new Error(`a segment holds a producer that is none: ${decoded.problem}`);
  return decoded.producer;
}
