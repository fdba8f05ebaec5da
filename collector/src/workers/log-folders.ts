/**
 * Where logs lie in a data directory: `wal` is worker 0's, or the only one's, `wal-1` and so on are the others'.
 * So a collector can start with more workers or with fewer: what lies beyond them is drained.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isNewSegmentFileName, segmentIdsOf } from '../wal/segment-name.js';
import { isAbsent } from '../wal/storage.js';

const pattern = /^wal-([1-9]\d*)$/;

export function logFolder(dataDirectory: string, worker: number): string {
  return join(dataDirectory, worker === 0 ? 'wal' : `wal-${worker}`);
}

/** The folders of all workers that there were, in the order of their numbers; `wal` is not among them. */
export function otherLogFolders(dataDirectory: string): string[] {
  return numbersOf(dataDirectory).map((number) => logFolder(dataDirectory, number));
}

/** Folders that no worker of `workers` has, and that hold a log. One with damaged files alone holds none. */
export function logsToDrain(dataDirectory: string, workers: number): string[] {
  return numbersOf(dataDirectory)
    .filter((number) => number >= workers)
    .map((number) => logFolder(dataDirectory, number))
    .filter((folder) => {
      const names = readdirSync(folder);
      return segmentIdsOf(names).length > 0 || names.some(isNewSegmentFileName);
    });
}

function numbersOf(dataDirectory: string): number[] {
  let names: string[];
  try {
    names = readdirSync(dataDirectory);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
  return names
    .flatMap((name) => {
      const [, digits] = pattern.exec(name) ?? [];
      return digits === undefined ? [] : [Number(digits)];
    })
    .sort((a, b) => a - b);
}
