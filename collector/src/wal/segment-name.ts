const ending = '.wal';
const newEnding = '.new';
const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.wal$/;

export function segmentFileName(segmentId: string): string {
  return segmentId + ending;
}

/** The name until the first frames are on the disk. What a crash leaves under it holds nothing. */
export function newSegmentFileName(segmentId: string): string {
  return segmentFileName(segmentId) + newEnding;
}

export function isNewSegmentFileName(name: string): boolean {
  return name.endsWith(newEnding) && pattern.test(name.slice(0, -newEnding.length));
}

/** Ids of the segments among these file names, oldest first: UUIDv7 sorts by time as text. */
export function segmentIdsOf(names: readonly string[]): string[] {
  return names
    .filter((name) => pattern.test(name))
    .map((name) => name.slice(0, -ending.length))
    .sort();
}
